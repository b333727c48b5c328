package tests

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestSlowKMS(t *testing.T) { suite.Run(t, &kmsSuite{}) }

// kmsSuite is about a KMS that does not answer: whoever asks it returns when the context ends, and nobody else notices.
type kmsSuite struct {
	rekeySuite
	kms *slowKMS
}

func (s *kmsSuite) SetupTest() {
	s.ctx = s.T().Context()
	inner, err := keyset.New(keyset.XChaCha20Poly1305)
	s.Require().NoError(err)
	s.kms = &slowKMS{Cipher: inner, asked: make(chan struct{}, 100)}
	s.mode = mode{name: "kms", open: func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
		return registry.OpenEncrypted(ctx, path, s.kek(), opts...)
	}}
	s.path = filepath.Join(s.T().TempDir(), "registry.db")
	s.reg = s.open()
	s.fill(s.reg, 3)
}

func (s *kmsSuite) TearDownTest() {
	s.kms.answer()
	s.rekeySuite.TearDownTest()
}

func (s *kmsSuite) kek() keyset.KEK { return keyset.AEAD("kms", s.kms) }

// slowKMS answers once it is let to. It takes no context, as many do not.
type slowKMS struct {
	keyset.Cipher
	mu       sync.Mutex
	hanging  chan struct{} // nil: it answers at once
	asked    chan struct{} // gets one for each call that hangs
	decrypts atomic.Int64
}

func (k *slowKMS) hang() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.hanging = make(chan struct{})
}

func (k *slowKMS) answer() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.hanging != nil {
		close(k.hanging)
		k.hanging = nil
	}
}

func (k *slowKMS) wait() {
	k.mu.Lock()
	hanging := k.hanging
	k.mu.Unlock()
	if hanging != nil {
		k.asked <- struct{}{}
		<-hanging
	}
}

func (k *slowKMS) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	k.wait()
	return k.Cipher.Encrypt(plaintext, associatedData)
}

func (k *slowKMS) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	k.decrypts.Add(1)
	k.wait()
	return k.Cipher.Decrypt(ciphertext, associatedData)
}

// obedient is a KMS that never answers, and ends with the context.
type obedient struct{ *slowKMS }

func (k obedient) EncryptWithContext(ctx context.Context, _, _ []byte) ([]byte, error) {
	k.asked <- struct{}{}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

func (k obedient) DecryptWithContext(ctx context.Context, _, _ []byte) ([]byte, error) {
	k.asked <- struct{}{}
	<-ctx.Done()
	return nil, context.Cause(ctx)
}

// endsWith runs f, and ends its context once the KMS has been asked. f must return that.
func (s *kmsSuite) endsWith(what string, f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	select {
	case <-s.kms.asked:
	case err := <-done:
		s.Require().NoError(err)
		s.Require().Fail("the KMS was not asked", what)
	}
	cancel()
	s.Require().ErrorIs(<-done, context.Canceled, what)
}

// joins runs f, which needs an answer that somebody asked for already, with a context that ends soon.
func (s *kmsSuite) joins(what string, f func(ctx context.Context) error) {
	ctx, cancel := context.WithTimeout(s.ctx, 5*time.Millisecond)
	defer cancel()
	s.Require().ErrorIs(f(ctx), context.DeadlineExceeded, what)
}

// rotatedElsewhere lets another registry rotate, so that s.reg lacks a key.
func (s *kmsSuite) rotatedElsewhere() {
	other := s.open()
	s.rotate(other)
	s.Require().NoError(other.Close())
}

func (s *kmsSuite) TestOpeningsEndWithTheirContext() {
	dir := s.T().TempDir()
	plain := filepath.Join(dir, "plain.db")
	reg, err := registry.Open(s.ctx, plain)
	s.Require().NoError(err)
	s.fill(reg, 3)
	s.Require().NoError(reg.Close())
	before, err := os.ReadFile(plain)
	s.Require().NoError(err)
	missing := filepath.Join(dir, "missing.db")

	s.kms.hang()
	s.endsWith("OpenEncrypted", func(ctx context.Context) error {
		_, err := registry.OpenEncrypted(ctx, s.path, s.kek())
		return err
	})
	s.endsWith("OpenEncrypted of a new file", func(ctx context.Context) error {
		_, err := registry.OpenEncrypted(ctx, missing, s.kek())
		return err
	})
	s.Require().NoFileExists(missing)
	s.endsWith("Encrypt", func(ctx context.Context) error {
		_, err := registry.Encrypt(ctx, plain, s.kek())
		return err
	})
	s.endsWith("Decrypt", func(ctx context.Context) error { return registry.Decrypt(ctx, s.path, s.kek()) })
	after, err := os.ReadFile(plain)
	s.Require().NoError(err)
	s.Require().Equal(before, after)
}

func (s *kmsSuite) TestReadsAndWritesEndWithTheirContext() {
	s.rotatedElsewhere()
	s.kms.hang()
	s.endsWith("GetConfig", func(ctx context.Context) error {
		return s.reg.GetConfig(ctx, numberKey(0), new(int))
	})
	s.joins("ListConfig", func(ctx context.Context) error { _, err := s.reg.ListConfig(ctx, ""); return err })
	s.joins("SetConfig", func(ctx context.Context) error { _, err := s.reg.SetConfig(ctx, "new", 1); return err })
	s.joins("Update", func(ctx context.Context) error {
		return s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			s.T().Error("the callback ran, inside the transaction")
			return nil
		})
	})
	s.joins("View", func(ctx context.Context) error {
		return s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error { return tx.GetConfig(ctx, numberKey(0), new(int)) })
	})
	s.joins("KeysetInfo", func(ctx context.Context) error { _, err := s.reg.KeysetInfo(ctx); return err })
	s.joins("RotateKeyset", func(ctx context.Context) error { _, err := s.reg.RotateKeyset(ctx); return err })
	s.joins("Rewrap", func(ctx context.Context) error { return s.reg.Rewrap(ctx, kekOf(1)) })
	s.joins("Verify", func(ctx context.Context) error { _, err := s.reg.Verify(ctx); return err })
	s.kms.answer()
	s.holds(s.reg, 3)
}

// While one waits for the KMS, the others of this registry and of the file go on.
func (s *kmsSuite) TestNobodyElseWaits() {
	other := s.open()
	s.rotate(other)
	s.kms.hang()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	held := make(chan error, 2)
	go func() { held <- s.reg.GetConfig(ctx, numberKey(0), new(int)) }()
	<-s.kms.asked
	go func() {
		held <- s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.SetConfig(ctx, "new", 1)
			return err
		})
	}()
	for range 10 { // all of these would wait for ever
		_, err := s.reg.GetModule(s.ctx, "none")
		s.Require().ErrorIs(err, registry.ErrUnknownModule)
		_, err = s.reg.UpsertModule(s.ctx, registry.ModuleMetadata{ID: "m", Kind: registry.KindWasm}, registry.StateLoaded)
		s.Require().NoError(err)
		_, err = other.SetConfig(s.ctx, numberKey(1), 1)
		s.Require().NoError(err)
	}
	cancel()
	s.Require().ErrorIs(<-held, context.Canceled)
	s.Require().ErrorIs(<-held, context.Canceled)
	s.kms.answer()
	s.Require().NoError(other.Close())
	s.holds(s.reg, 3)
}

// Many that lack the same keyset ask once, also if those before them gave up: a KMS that hangs is not asked again and again.
func (s *kmsSuite) TestOneAnswerServesAll() {
	s.rotatedElsewhere()
	s.kms.hang()
	before := s.kms.decrypts.Load()
	done := make(chan error, 10)
	s.endsWith("the first", func(ctx context.Context) error { return s.reg.GetConfig(ctx, numberKey(0), new(int)) })
	for range 20 {
		ctx, cancel := context.WithTimeout(s.ctx, time.Millisecond)
		s.Require().ErrorIs(s.reg.GetConfig(ctx, numberKey(0), new(int)), context.DeadlineExceeded)
		cancel()
	}
	for range 10 {
		go func() { done <- s.reg.GetConfig(s.ctx, numberKey(0), new(int)) }()
	}
	s.Require().Equal(before+1, s.kms.decrypts.Load())
	s.kms.answer()
	for range 10 {
		s.Require().NoError(<-done)
	}
	s.Require().Equal(before+1, s.kms.decrypts.Load())
}

// Views remember what they learned: the next one does not ask again.
func (s *kmsSuite) TestAViewAsksForAllThatFollow() {
	s.rotatedElsewhere()
	before := s.kms.decrypts.Load()
	for range 10 {
		s.Require().NoError(s.reg.View(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
			return tx.GetConfig(ctx, numberKey(0), new(int))
		}))
	}
	s.Require().Equal(before+1, s.kms.decrypts.Load())
}

// An answer that comes after the KEK was revoked counts for nothing, whatever it opens.
func (s *kmsSuite) TestAnAnswerAfterARekeyIsNotTaken() {
	attacker := &attackSuite{dir: s.T().TempDir()}
	attacker.SetT(s.T())
	row, _ := attacker.unwrapped(s.path, s.kek())
	own, err := keyset.New(keyset.XChaCha20Poly1305) // the attacker has the KEK
	s.Require().NoError(err)
	forged := row
	forged.Generation += 5
	w, err := s.kek().Prepare()
	s.Require().NoError(err)
	forged.Marker = envelope.Marker(own.Primary())
	forged.Wrapped, err = w.Wrap(own, envelope.Keyset(row.RegistryID, forged.Generation, own.Primary(), row.KEK, row.KEKParams))
	s.Require().NoError(err)
	value, err := own.Encrypt([]byte("666"), envelope.AppendValue(nil, row.RegistryID, "config", numberKey(0), own.Primary()))
	s.Require().NoError(err)
	text, err := envelope.Seal(value)
	s.Require().NoError(err)
	plant := "UPDATE config SET value = '" + text + "' WHERE key = '" + numberKey(0) + "'"
	before := s.stored(s.reg, numberKey(0))

	s.kms.hang()
	attacker.forge(s.path, putBack(forged), plant)
	late := make(chan error, 2)
	go func() { late <- s.reg.GetConfig(s.ctx, numberKey(0), new(int)) }()
	<-s.kms.asked
	go func() {
		for n, err := range (registry.Setting[int]{Name: numberKey(0)}).Watch(s.ctx, s.reg) {
			if err == nil && n == 666 {
				s.T().Error("a watch took it")
			}
			late <- err
			return
		}
	}()
	attacker.forge(s.path, putBack(row), "UPDATE config SET value = '"+before+"' WHERE key = '"+numberKey(0)+"'")
	_, err = s.reg.Rekey(s.ctx, kekOf(2))
	s.Require().NoError(err)
	s.kms.answer()
	<-late // whatever it is, it is over
	<-late
	s.holds(s.reg, 3)
	info := s.info(s.reg)
	s.Require().Equal(row.Generation+1, info.Generation)

	attacker.forge(s.path, putBack(forged), plant)
	s.Require().ErrorIs(s.reg.GetConfig(s.ctx, numberKey(0), new(int)), registry.ErrWrongKey)
	_, err = s.reg.SetConfig(s.ctx, "new", "secret")
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.Require().NoError(s.reg.Close())
	s.path = filepath.Join(s.T().TempDir(), "another.db") // that one is spoilt
	s.reg = s.open()
}

// A KMS that is down for one call does not pass for another one.
func (s *kmsSuite) TestTheSameKMSIsNoFreshKEKWhateverItAnswers() {
	fails := &failingKMS{Cipher: s.kms}
	for n := range int64(4) { // wrapping takes the first call
		fails.failAt.Store(fails.calls.Load() + 1 + n)
		_, err := s.reg.Rekey(s.ctx, keyset.AEAD("kms", fails))
		s.Require().Error(err, n)
		s.Require().Equal(int64(1), s.info(s.reg).Generation)
	}
}

// An Update asks before its transaction. If the KMS is down, what needs no value goes on all the same.
func (s *kmsSuite) TestAnUpdateGoesOnWithoutTheKeyset() {
	s.Require().NoError(s.reg.Close())
	fails := &failingKMS{Cipher: s.kms}
	reg, err := registry.OpenEncrypted(s.ctx, s.path, keyset.AEAD("kms", fails))
	s.Require().NoError(err)
	s.reg = reg
	s.rotatedElsewhere()
	fails.down.Store(true)
	s.Require().NoError(s.reg.Update(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.UpsertModule(ctx, registry.ModuleMetadata{ID: "m", Kind: registry.KindWasm}, registry.StateLoaded)
		s.Require().NoError(err)
		s.Require().ErrorIs(tx.GetConfig(ctx, numberKey(0), new(int)), registry.ErrWrongKey)
		_, err = tx.SetConfig(ctx, numberKey(0), 7)
		s.Require().ErrorIs(err, registry.ErrWrongKey)
		s.Require().ErrorIs(err, errDown)
		return nil
	}))
	fails.down.Store(false)
	s.holds(s.reg, 3)
}

// failingKMS fails while it is down.
type failingKMS struct {
	keyset.Cipher
	down          atomic.Bool
	calls, failAt atomic.Int64 // the call that fails
}

var errDown = os.ErrDeadlineExceeded

func (k *failingKMS) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if n := k.calls.Add(1); k.down.Load() || n == k.failAt.Load() {
		return nil, errDown
	}
	return k.Cipher.Decrypt(ciphertext, associatedData)
}

func (s *kmsSuite) TestCloseDoesNotWaitForEver() {
	s.Require().NoError(s.reg.Close())
	s.reg = s.open(registry.WithLockTimeout(20 * time.Millisecond))
	s.rotatedElsewhere()
	s.kms.hang()
	done := make(chan error, 1)
	go func() { done <- s.reg.GetConfig(s.ctx, numberKey(0), new(int)) }()
	<-s.kms.asked
	s.Require().ErrorIs(s.reg.Close(), registry.ErrBusy)
	s.Require().ErrorIs(<-done, registry.ErrClosed)
	s.Require().ErrorIs(s.reg.Close(), registry.ErrBusy, "as it said before")
	s.kms.answer()
	s.reg = s.open()
	s.holds(s.reg, 3)
}

// A call that was left behind when its context ended is waited for as well, since it may use what the caller closes next.
func (s *kmsSuite) TestCloseWaitsForWhatWasLeftBehind() {
	s.rotatedElsewhere()
	s.kms.hang()
	s.endsWith("GetConfig", func(ctx context.Context) error { return s.reg.GetConfig(ctx, numberKey(0), new(int)) })
	closed := make(chan error, 1)
	go func() { closed <- s.reg.Close() }()
	select {
	case err := <-closed:
		s.Require().Fail("it did not wait", "%v", err)
	case <-time.After(20 * time.Millisecond):
	}
	s.kms.answer()
	s.Require().NoError(<-closed)
	s.reg = s.open()
}

func (s *kmsSuite) TestAKMSThatTakesContextsEndsWithThem() {
	s.rotatedElsewhere()
	kek := keyset.AEAD("kms", obedient{s.kms})
	path := filepath.Join(s.T().TempDir(), "new.db")
	s.endsWith("OpenEncrypted", func(ctx context.Context) error {
		_, err := registry.OpenEncrypted(ctx, s.path, kek)
		return err
	})
	s.endsWith("OpenEncrypted of a new file", func(ctx context.Context) error {
		_, err := registry.OpenEncrypted(ctx, path, kek)
		return err
	})
	s.endsWith("Rekey", func(ctx context.Context) error {
		_, err := s.reg.Rekey(ctx, keyset.AEADWithContext("other", obedient{s.kms}))
		return err
	})
	s.holds(s.reg, 3)
}

// panicking is a KMS with a bug.
type panicking struct{ keyset.Cipher }

func (panicking) Decrypt(_, _ []byte) ([]byte, error) { panic("a bug of the KMS's") }

func (s *kmsSuite) TestAPanicIsTheCallers() {
	s.Require().PanicsWithValue("a bug of the KMS's", func() {
		_, _ = registry.OpenEncrypted(s.ctx, s.path, keyset.AEAD("kms", panicking{s.kms}))
	})
	s.Require().PanicsWithValue("a bug of the KMS's", func() { // it wraps, and opens to make sure
		_, _ = registry.OpenEncrypted(s.ctx, filepath.Join(s.T().TempDir(), "x.db"), keyset.AEAD("kms", panicking{s.kms}))
	})
	s.holds(s.reg, 3)
}
