package tests

import (
	"context"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func (s *rotationSuite) openWith(kek keyset.KEK) (*registry.Registry, error) {
	return registry.OpenEncrypted(s.ctx, s.path, kek)
}

func (s *rotationSuite) TestARewrappedKeysetOpensWithTheNewKeyOnly() {
	s.fill(s.reg, 10)
	before, stored := s.info(s.reg), s.rows(s.reg)
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	after := s.info(s.reg)
	s.Require().Equal(before.Generation+1, after.Generation)
	s.Require().Equal(before.Keys, after.Keys)
	s.Require().Equal(stored, s.rows(s.reg), "no value is touched, and no change comes of it")
	s.holds(s.reg, 10)

	_, err := s.openWith(kekOf(1))
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	other, err := s.openWith(kekOf(2))
	s.Require().NoError(err)
	s.holds(other, 10)
	s.Require().NoError(other.Close())
}

func (s *rotationSuite) TestEachKindOfKEKTakesOverFromEachOther() {
	s.fill(s.reg, 3)
	kinds := []keyset.KEK{cheapPassphrase("one"), kekOf(3), keyset.AEAD("kms://test", fixedCipher()), cheapPassphrase("two"), kekOf(1)}
	for i, kek := range kinds {
		s.Require().NoError(s.reg.Rewrap(s.ctx, kek))
		s.Require().Equal(kek.Kind(), s.info(s.reg).KEK)
		s.rotate(s.reg)
		other, err := s.openWith(kek)
		s.Require().NoError(err)
		s.holds(other, 3)
		s.Require().NoError(other.Close())
		_, err = s.openWith(kinds[(i+1)%len(kinds)])
		s.Require().ErrorIs(err, registry.ErrWrongKey)
	}
}

// A stranger's trigger, planted while the registry is open, must not keep a change of keys busy for ever, nor let it seem done.
func (s *rotationSuite) TestAPlantedTriggerThatKeepsTheKeysetIsDamage() {
	s.fill(s.reg, 3)
	before := s.info(s.reg)
	sqliteExec(s.T(), s.path, "CREATE TRIGGER planted BEFORE UPDATE ON keyset BEGIN SELECT RAISE(IGNORE); END")
	s.Require().ErrorIs(s.reg.Rewrap(s.ctx, kekOf(2)), registry.ErrCorrupt)
	_, err := s.reg.RotateKeyset(s.ctx)
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	sqliteExec(s.T(), s.path, "DROP TRIGGER planted")
	s.Require().Equal(before, s.info(s.reg))
	s.holds(s.reg, 3)
}

// The interrupted one's key was wrapped by the old key-encryption key.
func (s *rotationSuite) TestARotationThatWasStoppedBeforeARewrapIsNotGoneOnWith() {
	ctx, cancel := context.WithCancel(s.ctx)
	s.reopen(registry.WithProgress(func(int64, int64) { cancel() }))
	s.fill(s.reg, 9000)
	_, err := s.reg.RotateKeyset(ctx)
	s.Require().ErrorIs(err, context.Canceled)
	stopped := s.info(s.reg)
	s.Require().Len(stopped.Keys, 2)
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	report := s.rotate(s.reg)
	s.Require().Len(report.Retired, 2)
	s.Require().Contains(report.Retired, stopped.Primary)
	s.holds(s.reg, 9000)
}

// A handle follows a rotation of another with the same key-encryption key, whatever it does next.
func (s *rotationSuite) TestAnotherHandleFollowsWithoutAnError() {
	s.fill(s.reg, 10)
	for name, use := range map[string]func(ctx context.Context, reg *registry.Registry) error{
		"Get": func(ctx context.Context, reg *registry.Registry) error {
			n, err := registry.Get[int](ctx, reg, numberKey(4))
			s.Require().Equal(4, n)
			return err
		},
		"GetConfigEntry": func(ctx context.Context, reg *registry.Registry) error {
			entry, err := reg.GetConfigEntry(ctx, numberKey(4))
			s.Require().NoError(err)
			return entry.Decode(new(int))
		},
		"ListConfig": func(_ context.Context, reg *registry.Registry) error {
			s.holds(reg, 10)
			return nil
		},
		"SetConfig": func(ctx context.Context, reg *registry.Registry) error {
			_, err := reg.SetConfig(ctx, numberKey(4), 4)
			return err
		},
		"Modify": func(ctx context.Context, reg *registry.Registry) error {
			_, err := registry.Modify(ctx, reg, numberKey(4), func(n int, _ bool) (int, error) { return n, nil })
			return err
		},
		"View": func(ctx context.Context, reg *registry.Registry) error {
			return reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
				s.holds(tx, 10)
				return nil
			})
		},
		"Update": func(ctx context.Context, reg *registry.Registry) error {
			return reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.SetConfig(ctx, numberKey(4), 4)
				s.holds(tx, 10)
				return err
			})
		},
		"Verify": func(ctx context.Context, reg *registry.Registry) error {
			_, err := reg.Verify(ctx)
			return err
		},
		"KeysetInfo": func(ctx context.Context, reg *registry.Registry) error {
			info, err := reg.KeysetInfo(ctx)
			s.Require().Equal(s.info(s.reg), info)
			return err
		},
		"RotateKeyset": func(ctx context.Context, reg *registry.Registry) error {
			_, err := reg.RotateKeyset(ctx)
			return err
		},
		"Rewrap": func(ctx context.Context, reg *registry.Registry) error { return reg.Rewrap(ctx, kekOf(1)) },
	} {
		s.Run(name, func() {
			for rotations := range 3 {
				other := s.open()
				for range rotations {
					s.rotate(s.reg)
				}
				s.Require().NoError(use(s.ctx, other))
				s.Require().NoError(other.Close())
			}
			s.holds(s.reg, 10)
		})
	}
}

// A new key-encryption key that the caller cannot make ready, or that fails, leaves the old one in force.
func (s *rotationSuite) TestAKEKThatFailsLeavesTheOldOne() {
	before := s.info(s.reg)
	s.Require().ErrorIs(s.reg.Rewrap(s.ctx, keyset.AEAD("kms://down", failingCipher{})), errKMS)
	s.Require().Equal(before, s.info(s.reg))
	s.rotate(s.reg)
	s.reopen()
}

// Calls that read the keyset while this very Registry rewraps it meet the row before and after the new KEK is in force.
func (s *rotationSuite) TestNobodyNoticesARewrapOfTheSameRegistry() {
	s.fill(s.reg, 5)
	stop, failed := make(chan struct{}), make(chan error, 3)
	for _, call := range []func() error{
		func() error {
			_, err := s.reg.KeysetInfo(s.ctx)
			return err
		},
		func() error {
			_, err := s.reg.Verify(s.ctx)
			return err
		},
		func() error {
			_, err := registry.Modify(s.ctx, s.reg, "counter", func(n int, _ bool) (int, error) { return n + 1, nil })
			return err
		},
	} {
		go func() {
			for {
				select {
				case <-stop:
					failed <- nil
					return
				default:
				}
				if err := call(); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	for i := range 100 {
		s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(byte(i))))
	}
	close(stop)
	for range 3 {
		s.Require().NoError(<-failed)
	}
}

// Somebody who has the old key-encryption key, and may write the file, puts the row back that it opens. The handle that
// revoked it must not go back to those keys.
func (s *rotationSuite) TestARevokedRowThatIsPutBackIsNotTakenUpAgain() {
	s.fill(s.reg, 3)
	raw := sqliteOpen(s.T(), s.path)
	_, err := raw.ExecContext(s.ctx, "CREATE TEMP TABLE before AS SELECT * FROM keyset")
	s.Require().NoError(err)
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	s.rotate(s.reg)
	stored := s.rows(s.reg)
	withoutGuards(s.T(), s.ctx, raw, keysetRowGuards, `UPDATE keyset SET (generation, marker, kek, kek_params, wrapped) =
		(SELECT generation, marker, kek, kek_params, wrapped FROM before)`)
	_, err = s.reg.SetConfig(s.ctx, numberKey(1), 1)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	err = s.reg.Update(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, numberKey(1), 1)
		return err
	})
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	_, err = s.reg.RotateKeyset(s.ctx)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.Require().Equal(stored, s.rows(s.reg))
	s.holds(s.reg, 3)
	s.Require().NoError(s.reg.Close())
	s.reg = nil // it does not open any more
}

// Where another handle rotated meanwhile, and a key has to stay, what that one wrote is not taken for damage.
func (s *rotationSuite) TestOnlyWhatCannotBeOpenedIsNamed() {
	s.fill(s.reg, 10)
	s.stuck(numberKey(0), numberKey(1))
	other := s.open()
	defer other.Close()
	rotations := make(chan registry.RotateReport)
	for _, reg := range []*registry.Registry{s.reg, other} {
		go func() {
			for range 10 {
				report, err := reg.RotateKeyset(s.ctx)
				s.ErrorIs(err, registry.ErrTampered)
				rotations <- report
			}
		}()
	}
	for range 20 {
		s.Require().Equal([]string{numberKey(0)}, (<-rotations).Unopened)
	}
	_, err := s.reg.SetConfig(s.ctx, numberKey(0), 0)
	s.Require().NoError(err)
	s.holds(s.reg, 10)
}

func (s *rotationSuite) TestAVerificationTellsARewrapFromDamage() {
	other := s.open()
	defer other.Close()
	s.Require().NoError(other.Rewrap(s.ctx, cheapPassphrase("new")))
	_, err := s.reg.Verify(s.ctx)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.Require().NotErrorIs(err, registry.ErrCorrupt)
	s.Require().NoError(s.reg.Close())
	s.reg = nil

	keyless, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	s.Require().NoError(registry.Decrypt(s.ctx, s.path, cheapPassphrase("new")))
	_, err = keyless.Verify(s.ctx)
	s.Require().NoError(err)
	s.Require().NoError(keyless.Close())
}

// A variable may be unset once the registry is open, so that no child inherits it.
func (s *rotationSuite) TestTheEnvironmentIsReadOnce() {
	s.T().Setenv("STATEREGISTRY_TEST_ONCE", "opens it")
	s.Require().NoError(s.reg.Rewrap(s.ctx, keyset.Passphrase("opens it")))
	reg, err := s.openWith(keyset.FromEnv("STATEREGISTRY_TEST_ONCE"))
	s.Require().NoError(err)
	s.T().Setenv("STATEREGISTRY_TEST_ONCE", "")
	s.Require().NoError(s.reg.Rewrap(s.ctx, keyset.Passphrase("opens it"))) // with another salt
	s.fill(s.reg, 3)
	s.rotate(s.reg)
	s.holds(reg, 3)
	s.Require().NoError(reg.Close())
}
