package tests

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/oxide-k/stateregistry/registry"
)

// A registry that was opened without a key, and is encrypted behind its back: from then on it reads no value, and writes
// none.
func (s *attackSuite) TestAPlaintextHandleIsLockedOutByEncrypt() {
	path := s.plain("x.db")
	reg := s.openLocked(path)
	ctx := s.T().Context()
	s.neighboursRead(reg)
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() { // a snapshot from before reads on; while it lasts the file cannot be scrubbed
		ended <- reg.View(ctx, func(viewCtx context.Context, tx *registry.Tx) error {
			close(begun)
			select {
			case <-end:
			case <-ctx.Done(): // the test failed
			}
			_, err := registry.Get[string](viewCtx, tx, victim)
			return err
		})
	}()
	<-begun
	_, err := registry.Encrypt(ctx, path, rawKEK32(), registry.WithLockTimeout(0))
	s.refuses(err, registry.ErrBusy)
	close(end)
	s.Require().NoError(<-ended)
	_, err = registry.Encrypt(ctx, path, rawKEK32())
	s.Require().NoError(err)

	s.readsWhatIsNotEncrypted(ctx, reg)
	s.cannotReadWithoutTheKey(ctx, reg)
	s.cannotWrite(ctx, reg, registry.ErrEncrypted)
	s.Require().NoError(reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.cannotReadWithoutTheKey(ctx, tx)
		return nil
	}))
	s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.cannotReadWithoutTheKey(ctx, tx)
		s.cannotWrite(ctx, tx, registry.ErrEncrypted)
		_, err := tx.ExecContext(ctx, `INSERT INTO config (key, value, updated_at) VALUES ('new', '"plain"', '2026')`)
		s.refusedByTrigger(err, "from the handle's own transaction")
		return nil
	}))
	_, err = reg.KeysetInfo(ctx)
	s.refuses(err, registry.ErrEncrypted)
	_, err = reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrEncrypted)
	report, err := reg.Verify(ctx)
	s.Require().NoError(err, "%v", report.Problems)
	s.printsNoSecret(reg)
	s.Require().NoError(reg.Close())
	s.Require().Empty(secretsIn(s.read(path)))
	s.opensWhole(path, rawKEK32())
}

// Writers that go on while the file is encrypted: what was acknowledged is there, and nothing of it in plaintext.
func (s *attackSuite) TestWritesDuringEncryptAreEncryptedOrRefused() {
	path := s.plain("x.db")
	ctx := s.T().Context()
	const writers = 4
	var running sync.WaitGroup
	begun, acknowledged := make(chan struct{}, writers), make([]int, writers)
	for w := range writers {
		reg := s.openLocked(path)
		running.Go(func() {
			for n := 0; ; n++ {
				_, err := reg.SetConfig(ctx, fmt.Sprint("writer/", w), fmt.Sprint(canary, n))
				if err != nil {
					s.ErrorIs(err, registry.ErrEncrypted)
					return
				}
				if acknowledged[w] = n; n == 0 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range writers {
		<-begun
	}
	report, err := registry.Encrypt(ctx, path, rawKEK32())
	s.Require().NoError(err)
	s.Require().EqualValues(3+writers, report.Entries)
	running.Wait()
	reg := s.open(path, rawKEK32())
	for w := range writers {
		value, err := registry.Get[string](ctx, reg, fmt.Sprint("writer/", w))
		s.Require().NoError(err)
		s.Require().Equal(fmt.Sprint(canary, acknowledged[w]), value)
		s.Require().True(strings.HasPrefix(s.storedIn(reg, fmt.Sprint("writer/", w)), "enc:v1:"))
	}
	s.opensWholeWhileOpen(reg)
	s.Require().Empty(secretsIn(s.live(path)))
}

// A registry that was opened with the key, and is decrypted behind its back: what is there is not what it knows.
func (s *attackSuite) TestAnEncryptedHandleIsLockedOutByDecrypt() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	ctx := s.T().Context()
	s.neighboursRead(reg)
	s.Require().NoError(registry.Decrypt(ctx, path, rawKEK32()))
	for _, key := range []string{victim, neighbour1, neighbour2} {
		s.cannotReadAny(ctx, reg, key)
	}
	s.Require().NoError(reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.cannotReadAny(ctx, tx, victim)
		return nil
	}))
	s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.cannotReadAny(ctx, tx, victim)
		_, err := tx.SetConfig(ctx, "new", canary)
		s.refuses(err, registry.ErrNotEncrypted)
		return nil
	}))
	_, err := reg.SetConfig(ctx, victim, canary)
	s.refuses(err, registry.ErrNotEncrypted)
	_, err = registry.Modify(ctx, reg, victim, func(any, bool) (any, error) { return 1, nil })
	s.refuses(err, registry.ErrNotEncrypted)
	_, err = reg.KeysetInfo(ctx)
	s.refuses(err, registry.ErrNotEncrypted)
	_, err = reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrNotEncrypted)
	s.refuses(reg.Rewrap(ctx, rawKEK32()), registry.ErrNotEncrypted)
	plain := s.openLocked(path)
	s.opensWholeWhileOpen(plain)
}

// The same of a deletion, which needs no key, and is none of a registry's that this handle no longer knows.
func (s *attackSuite) TestAnEncryptedHandleDeletesNothingAfterDecrypt() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	s.Require().NoError(registry.Decrypt(s.T().Context(), path, rawKEK32()))
	_, err := reg.DeleteConfig(s.T().Context(), victim)
	s.refuses(err, registry.ErrNotEncrypted)
}

// Decrypted and encrypted again: the new keyset counts its generations from 1, as the old one did. A handle of the old one
// either follows, where the KEK is the same, or says why not. It does not call whole values tampered with.
func (s *attackSuite) TestAHandleOfAnEarlierEncryptionIsNotMistaken() {
	for name, rotations := range map[string]int{"of the same generation": 0, "of a later generation": 2} {
		s.Run(name, func() {
			path := s.create("x.db", rawKEK32())
			reg := s.open(path, rawKEK32())
			ctx := s.T().Context()
			for range rotations {
				_, err := reg.RotateKeyset(ctx)
				s.Require().NoError(err)
			}
			s.Require().NoError(registry.Decrypt(ctx, path, rawKEK32()))
			_, err := registry.Encrypt(ctx, path, rawKEK32())
			s.Require().NoError(err)
			value, err := registry.Get[string](ctx, reg, victim)
			if err == nil {
				s.Require().Equal(canary, value)
			} else {
				s.Require().True(isOneOf(err, registry.ErrNotEncrypted, registry.ErrWrongKey), "%v", err)
			}
			if _, err = reg.SetConfig(ctx, "new", 1); err != nil {
				s.Require().True(isOneOf(err, registry.ErrNotEncrypted, registry.ErrWrongKey), "%v", err)
			}
			s.opensWholeWhileOpen(s.open(path, rawKEK32()))
		})
	}
}

// cannotReadAny fails unless each way to read a value says that the registry is not encrypted, and gives nothing.
func (s *attackSuite) cannotReadAny(ctx context.Context, r registry.Reader, key string) {
	s.T().Helper()
	var dst any
	s.refuses(r.GetConfig(ctx, key, &dst), registry.ErrNotEncrypted)
	e, err := r.GetConfigEntry(ctx, key)
	s.Require().NoError(err)
	s.refuses(e.Decode(&dst), registry.ErrNotEncrypted)
	entries, err := r.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Len(entries, 3)
	for _, e := range entries {
		s.refuses(e.Decode(&dst), registry.ErrNotEncrypted)
	}
	s.Require().Nil(dst)
}
