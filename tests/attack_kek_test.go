package tests

import (
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead"
	tink "github.com/tink-crypto/tink-go/v2/keyset"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// service is a KMS that can be told to fail, and counts what it is asked for.
type service struct {
	keyset.Cipher
	refuseEncrypt, refuseDecrypt error
	answer                       func(plaintext []byte) []byte // instead of what Decrypt found
	encrypted                    [][]byte                      // what Encrypt was given
	decrypts                     atomic.Int64
}

func (s *attackSuite) newService() *service {
	s.T().Helper()
	handle, err := tink.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	s.Require().NoError(err)
	cipher, err := aead.New(handle)
	s.Require().NoError(err)
	return &service{Cipher: cipher}
}

func (s *service) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	if s.refuseEncrypt != nil {
		return nil, s.refuseEncrypt
	}
	s.encrypted = append(s.encrypted, append([]byte{}, plaintext...))
	return s.Cipher.Encrypt(plaintext, associatedData)
}

func (s *service) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	s.decrypts.Add(1)
	if s.refuseDecrypt != nil {
		return nil, s.refuseDecrypt
	}
	plaintext, err := s.Cipher.Decrypt(ciphertext, associatedData)
	if err == nil && s.answer != nil {
		return s.answer(plaintext), nil
	}
	return plaintext, err
}

var errService = errors.New("the service is not there")

func (s *attackSuite) TestAWrongKEKIsNamedAndTheFileStays() {
	s.T().Setenv("ATTACK_KEY", attackPassphrase)
	s.T().Setenv("ATTACK_OTHER_KEY", attackPassphrase+"\n")
	s.T().Setenv("ATTACK_EMPTY_KEY", "")
	kms := s.newService()
	made := map[string]string{
		"passphrase": s.create("passphrase.db", cheapPassphrase(attackPassphrase)),
		"default":    s.create("default.db", keyset.Passphrase(attackPassphrase)),
		"another":    s.create("another.db", cheapPassphrase("another one")),
		"raw key":    s.create("raw.db", rawKEK32()),
		"AEAD":       s.create("aead.db", keyset.AEAD("kms", kms)),
	}
	short := func(n int) keyset.KEK { return keyset.RawKey(make([]byte, n)) }
	for name, c := range map[string]struct {
		file   string
		kek    keyset.KEK
		reason error
	}{
		"another passphrase":             {"passphrase", cheapPassphrase("another one"), registry.ErrWrongKey},
		"in another case":                {"passphrase", cheapPassphrase(strings.ToUpper(attackPassphrase)), registry.ErrWrongKey},
		"with a space more":              {"passphrase", cheapPassphrase(attackPassphrase + " "), registry.ErrWrongKey},
		"the passphrase of another file": {"another", cheapPassphrase(attackPassphrase), registry.ErrWrongKey},
		"its bytes as a raw key":         {"passphrase", keyset.RawKey([]byte((attackPassphrase + strings.Repeat("\x00", 32))[:32])), registry.ErrWrongKey},
		"an AEAD for a passphrase":       {"passphrase", keyset.AEAD("kms", kms), registry.ErrWrongKey},
		"a passphrase for a raw key":     {"raw key", cheapPassphrase(attackRawKey), registry.ErrWrongKey},
		"another raw key":                {"raw key", short(32), registry.ErrWrongKey},
		"an AEAD of another name":        {"AEAD", keyset.AEAD("kms2", kms), registry.ErrWrongKey},
		"another AEAD of that name":      {"AEAD", keyset.AEAD("kms", s.newService()), registry.ErrWrongKey},
		"a raw key for an AEAD":          {"AEAD", rawKEK32(), registry.ErrWrongKey},
		"a variable that holds another":  {"default", keyset.FromEnv("ATTACK_OTHER_KEY"), registry.ErrWrongKey},
		"a variable, and a raw key":      {"raw key", keyset.FromEnv("ATTACK_KEY"), registry.ErrWrongKey},
		"no passphrase":                  {"passphrase", cheapPassphrase(""), registry.ErrInvalid},
		"no KEK":                         {"passphrase", keyset.KEK{}, registry.ErrInvalid},
		"a variable that is unset":       {"passphrase", keyset.FromEnv("ATTACK_UNSET_KEY"), registry.ErrInvalid},
		"a variable that is empty":       {"passphrase", keyset.FromEnv("ATTACK_EMPTY_KEY"), registry.ErrInvalid},
		"two variables":                  {"passphrase", keyset.FromEnv("ATTACK_KEY", "ATTACK_OTHER_KEY"), registry.ErrInvalid},
		"a raw key of 31 bytes":          {"raw key", short(31), registry.ErrInvalid},
		"a raw key of 33 bytes":          {"raw key", short(33), registry.ErrInvalid},
		"a raw key of 0 bytes":           {"raw key", keyset.RawKey(nil), registry.ErrInvalid},
		"no AEAD":                        {"AEAD", keyset.AEAD("kms", nil), registry.ErrInvalid},
		"an AEAD without a name":         {"AEAD", keyset.AEAD("", kms), registry.ErrInvalid},
	} {
		s.Run(name, func() {
			path, ctx := s.copied(made[c.file], "x.db"), s.T().Context()
			before := s.content(path)
			s.refusesToOpen(path, c.kek, c.reason)
			_, err := registry.Encrypt(ctx, path, c.kek)
			s.refuses(err, c.reason)
			s.refuses(registry.Decrypt(ctx, path, c.kek), c.reason)
			s.Require().Equal(before, s.content(path))
			if c.reason == registry.ErrInvalid { // then nobody even looked at the file
				s.Require().Equal([]string{"x.db"}, names(s.T(), s.dir))
			}
			s.printsNoSecret(c.kek)
			s.staysLocked(path)
		})
	}
	s.opensWhole(made["passphrase"], cheapPassphrase(attackPassphrase))
	s.opensWhole(made["default"], keyset.FromEnv("ATTACK_KEY"))
	s.opensWhole(made["AEAD"], keyset.AEAD("kms", kms))
}

// What cannot be a KEK makes no file.
func (s *attackSuite) TestAnUnusableKEKLeavesNothingBehind() {
	for _, kek := range []keyset.KEK{{}, keyset.Passphrase(""), keyset.RawKey(nil), keyset.FromEnv("ATTACK_UNSET_KEY"), keyset.AEAD("", nil)} {
		_, err := registry.OpenEncrypted(s.T().Context(), s.file("x.db"), kek)
		s.refuses(err, registry.ErrInvalid)
		s.Require().Empty(names(s.T(), s.dir))
	}
}

// A service that is not there, or answers nonsense, is the wrong key; its own reason stays reachable.
func (s *attackSuite) TestAFailingServiceIsNamedWithItsReason() {
	kms := s.newService()
	kek := keyset.AEAD("kms", kms)
	path := s.create("x.db", kek)
	kms.refuseDecrypt = errService
	s.Require().ErrorIs(s.refusesToOpen(path, kek, registry.ErrWrongKey), errService)
	kms.refuseDecrypt = nil
	for name, answer := range map[string]func([]byte) []byte{
		"nothing":    func([]byte) []byte { return nil },
		"noise":      func([]byte) []byte { return noise(100) },
		"truncated":  func(b []byte) []byte { return b[:len(b)-1] },
		"half":       func(b []byte) []byte { return b[:len(b)/2] },
		"text":       func([]byte) []byte { return []byte(attackPassphrase) },
		"the keyset": func(b []byte) []byte { return append(b, b...) },
	} {
		kms.answer = answer
		err := s.refusesToOpen(path, kek)
		s.Require().True(isOneOf(err, registry.ErrWrongKey, registry.ErrNewerSchema), "%s: %v", name, err)
	}
	kms.answer = nil
	s.opensWhole(path, kek)
}

// A service that fails while a keyset is made, rotated or rewrapped leaves what there was.
func (s *attackSuite) TestAServiceThatFailsToWrapChangesNothing() {
	kms, ctx := s.newService(), s.T().Context()
	kek := keyset.AEAD("kms", kms)
	path := s.create("x.db", kek)
	reg := s.open(path, kek)
	before, err := reg.KeysetInfo(ctx)
	s.Require().NoError(err)
	kms.refuseEncrypt = errService
	_, err = reg.RotateKeyset(ctx)
	s.refuses(err, errService)
	s.refuses(reg.Rewrap(ctx, kek), errService)
	after, err := reg.KeysetInfo(ctx)
	s.Require().NoError(err)
	s.Require().Equal(before, after)
	s.Require().NoError(reg.Close())
	s.opensWhole(path, kek)

	plain := s.plain("plain.db")
	content := s.content(plain)
	_, err = registry.Encrypt(ctx, plain, kek)
	s.refuses(err, errService)
	s.Require().Equal(content, s.content(plain))
	_, err = registry.OpenEncrypted(ctx, s.file("new.db"), kek)
	s.refuses(err, errService)
	kms.refuseEncrypt = nil
	s.opensWhole(s.create("new.db", kek), kek)
}

// A service that wraps and does not unwrap, as one whose rights are set so, would lock everything away for ever. What it
// wrapped must be opened before it takes the place of what can be opened.
func (s *attackSuite) TestAServiceThatCannotUnwrapLocksNothingAway() {
	ctx := s.T().Context()
	s.Run("encrypt", func() {
		kms := s.newService()
		kms.refuseDecrypt = errService
		path := s.plain("plain.db")
		before := s.content(path)
		report, err := registry.Encrypt(ctx, path, keyset.AEAD("kms", kms))
		s.refuses(err, errService)
		s.Require().Zero(report)
		s.Require().Equal(before, s.content(path))
	})
	s.Run("rewrap", func() {
		kms := s.newService()
		kms.refuseDecrypt = errService
		path := s.create("x.db", rawKEK32())
		reg := s.open(path, rawKEK32())
		s.refuses(reg.Rewrap(ctx, keyset.AEAD("kms", kms)), errService)
		s.Require().NoError(reg.Close())
		s.opensWhole(path, rawKEK32())
	})
	s.Run("rotate", func() {
		kms := s.newService()
		path := s.create("x.db", keyset.AEAD("kms", kms))
		reg := s.open(path, keyset.AEAD("kms", kms))
		kms.refuseDecrypt = errService
		_, err := reg.RotateKeyset(ctx)
		s.refuses(err, errService)
		s.neighboursRead(reg)
	})
}

// A value under a key that the keyset does not have costs no call of the service, as long as the keyset is the same one.
func (s *attackSuite) TestAnUnknownKeyCostsNoCallOfTheService() {
	kms := s.newService()
	path := s.create("x.db", keyset.AEAD("kms", kms))
	reg := s.open(path, keyset.AEAD("kms", kms))
	s.plant(path, victim, "enc:v1:00000001:"+s.stored(path, victim)[16:])
	s.plant(path, neighbour1, s.withID(s.stored(path, neighbour1), "00000001"))
	before := kms.decrypts.Load()
	for range 10 {
		for _, key := range []string{victim, neighbour1} {
			s.cannotReadOne(reg, key)
		}
	}
	s.Require().Equal(before, kms.decrypts.Load())
}

func (s *attackSuite) cannotReadOne(reg *registry.Registry, key string) {
	s.T().Helper()
	s.refuses(reg.GetConfig(s.T().Context(), key, new(any)), registry.ErrTampered)
}

// plain makes a plaintext registry with the entries of create.
func (s *attackSuite) plain(name string) string {
	s.T().Helper()
	reg, err := registry.Open(s.T().Context(), filepath.Join(s.dir, name))
	s.Require().NoError(err)
	s.fill(reg)
	s.Require().NoError(reg.Close())
	return s.file(name)
}
