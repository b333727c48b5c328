package tests

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/oxide-k/stateregistry/registry"
)

// sealedByOxide returns a JSON text as an oxide-k kernel with an encryption string stores it.
func (s *oxideFixture) sealedByOxide(encryption, json string) string {
	key := sha256.Sum256([]byte(encryption))
	block, err := aes.NewCipher(key[:])
	s.Require().NoError(err)
	aead, err := cipher.NewGCM(block)
	s.Require().NoError(err)
	nonce := make([]byte, aead.NonceSize())
	rand.Read(nonce)
	return base64.URLEncoding.EncodeToString(aead.Seal(nonce, nonce, []byte(json), nil))
}

// A kernel takes any string for its values, and another one the next time.
func (s *encryptSuite) TestValuesUnderSeveralStringsOfOxideKAreConverted() {
	given := []string{"", "first", "second", oxideKey}
	k := s.kernel()
	for i := range 3 * len(given) {
		encryption := given[i%len(given)]
		s.Require().NoError(k.setConfig(fmt.Sprintf("under/%02d", i), s.sealedByOxide(encryption, fmt.Sprintf(`{"n":%d}`, i))))
	}
	s.Require().NoError(k.Close())
	with := func(strings ...string) (opts []registry.Option) {
		for _, encryption := range strings {
			opts = append(opts, registry.WithOxideKey(encryption))
		}
		return opts
	}
	for i := range given {
		s.unchangedFile(func() {
			others := append(append([]string{}, given[:i]...), given[i+1:]...)
			report, err := s.encrypt(with(others...)...)
			s.Require().ErrorIs(err, registry.ErrWrongKey, "without %q", given[i])
			s.Require().Zero(report)
			s.Require().ErrorContains(err, fmt.Sprintf("under/%02d", i))
			s.Require().NotContains(err.Error(), fmt.Sprintf("under/%02d", (i+1)%len(given)), "which one of them opens")
		})
	}
	s.unchangedFile(func() {
		_, err := s.encrypt()
		s.Require().ErrorIs(err, registry.ErrEncrypted, "without any")
	})
	report, err := s.encrypt(with(append(given, "one that opens nothing", "first")...)...)
	s.Require().NoError(err)
	s.Require().EqualValues(3*len(given), report.FromOxide)
	s.Require().EqualValues(3*len(given)+len(s.expected.Config), report.Entries)
	reg := s.openEncrypted(kekOf(1))
	for i := range 3 * len(given) {
		got, err := registry.Get[map[string]int](s.T().Context(), reg, fmt.Sprintf("under/%02d", i))
		s.Require().NoError(err)
		s.Require().Equal(map[string]int{"n": i}, got)
	}
}

// Encrypt keeps what it finds, as every reader has it: also JSON that SetConfig would refuse.
func (s *encryptSuite) TestJSONThatIsNotWrittenAnyMoreIsKept() {
	texts := map[string]string{
		"twice": `{"a":1,"a":2}`, "half": `["\ud800"]`, "spaces": ` { "n" : 1.50 } `, "number": `1e400`, "large": `18446744073709551616`,
	}
	k := s.kernel()
	for key, text := range texts {
		s.Require().NoError(k.setConfig("plain/"+key, text))
		s.Require().NoError(k.setConfig("sealed/"+key, s.sealedByOxide("", text)))
	}
	s.Require().NoError(k.Close())
	_, err := s.encrypt(registry.WithOxideKey(""))
	s.Require().NoError(err)
	reg, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
	s.Require().NoError(err)
	twice, err := registry.Get[map[string]int](s.T().Context(), reg, "sealed/twice")
	s.Require().NoError(err)
	s.Require().Equal(map[string]int{"a": 2}, twice)
	half, err := registry.Get[[]string](s.T().Context(), reg, "plain/half")
	s.Require().NoError(err)
	s.Require().Equal([]string{"\ufffd"}, half)
	_, err = reg.Verify(s.T().Context())
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	s.Require().NoError(registry.Decrypt(s.T().Context(), s.path, kekOf(1)))
	k = s.kernel()
	for key, text := range texts {
		for _, key := range []string{"plain/" + key, "sealed/" + key} {
			var stored string
			s.Require().NoError(k.QueryRow("SELECT value FROM config WHERE key = ?", key).Scan(&stored))
			s.Require().Equal(text, stored)
		}
	}
}
