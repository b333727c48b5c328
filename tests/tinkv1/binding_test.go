package tinkv1

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/google/tink/go/aead"
	"github.com/google/tink/go/aead/subtle"
	"github.com/google/tink/go/keyset"
	tinkpb "github.com/google/tink/go/proto/tink_go_proto"
)

// Whichever library wrote a keyset, the other one opens it in its own row only.
func (s *compatibilitySuite) TestAWrappedKeysetOpensInItsRowOnly() {
	byV2, _ := s.v2New(algorithms()[0].name)
	byV1, _ := s.v1New(algorithms()[0].template)

	for name, alter := range map[string]func(*row){
		"another registry":              func(r *row) { r.Registry = strings.Repeat("0", 32) },
		"another generation":            func(r *row) { r.Generation++ },
		"another primary key":           func(r *row) { r.Primary++ },
		"another kind of KEK":           func(r *row) { r.KEK = "aead" },
		"other parameters":              func(r *row) { r.Params = "name" },
		"another split between fields":  func(r *row) { r.KEK, r.Params = "rawke", "y" },
		"a ciphertext of another row":   func(r *row) { r.Wrapped = s.another() },
		"a ciphertext with a bit wrong": func(r *row) { r.Wrapped = flipped(r.Wrapped) },
		"a ciphertext cut short":        func(r *row) { r.Wrapped = r.Wrapped[:len(r.Wrapped)-1] },
		"no ciphertext":                 func(r *row) { r.Wrapped = nil },
	} {
		s.Run(name, func() {
			r := byV2.Keyset
			alter(&r)
			_, err := unwrap(r, s.rawKey)
			s.Require().Error(err)

			r = byV1
			alter(&r)
			s.Require().Equal("ErrWrongKEK", s.v2Refusal(request{Do: "describe", Keyset: r}))
		})
	}
	s.Run("another raw key", func() {
		_, err := unwrap(byV2.Keyset, random(32))
		s.Require().Error(err)
		s.Require().Equal("ErrWrongKEK", s.v2Refusal(request{Do: "describe", Keyset: byV1, RawKey: random(32)}))
	})
	s.Run("no associated data", func() {
		kek, err := subtle.NewXChaCha20Poly1305(s.rawKey)
		s.Require().NoError(err)
		message := &keyset.MemReaderWriter{EncryptedKeyset: &tinkpb.EncryptedKeyset{EncryptedKeyset: byV2.Keyset.Wrapped}}
		_, err = keyset.Read(message, kek)
		s.Require().Error(err)

		s.Require().NoError(s.v1Unwraps(byV1).Write(message, kek))
		byV1.Wrapped = message.EncryptedKeyset.GetEncryptedKeyset()
		s.Require().Equal("ErrWrongKEK", s.v2Refusal(request{Do: "describe", Keyset: byV1}))
	})
}

// Whichever library wrote a value, the other one opens it in its own place only.
func (s *compatibilitySuite) TestAValueOpensInItsPlaceOnly() {
	for _, a := range algorithms() {
		byV2, valuesOfV2 := s.v2New(a.name)
		byV1, valuesOfV1 := s.v1New(a.template)
		for name, alter := range map[string]func(*place){
			"another registry":             func(p *place) { p.Registry = strings.Repeat("0", 32) },
			"another table":                func(p *place) { p.Table = "modules" },
			"another key":                  func(p *place) { p.Key += "x" },
			"another split between fields": func(p *place) { p.Table, p.Key = "confi", "g"+p.Key },
		} {
			s.Run(a.name+", "+name, func() {
				for _, w := range valuesOfV2 {
					s.Require().NoError(s.v1Opens(byV2.Keyset, w.place, w.text))
					alter(&w.place)
					s.Require().Error(s.v1Opens(byV2.Keyset, w.place, w.text))
				}
				for _, w := range valuesOfV1 {
					s.Require().Empty(s.v2Opens(byV1, w.place, w.text))
					alter(&w.place)
					s.Require().Equal("decrypt", s.v2Opens(byV1, w.place, w.text))
				}
			})
		}
	}
}

// The id in a value's text, in its ciphertext and in its associated data is one: that of the key it is under.
func (s *compatibilitySuite) TestAValueOpensUnderTheKeyThatItNamesOnly() {
	for _, alg := range algorithms() {
		s.Run("v1 reads, "+alg.name, func() {
			first, _ := s.v2New(alg.name)
			second, values := s.v2Rotates(first.Keyset, alg.name)
			a, err := aead.New(s.v1Unwraps(second.Keyset))
			s.Require().NoError(err)
			for _, w := range values {
				id, ciphertext, err := parse(w.text)
				s.Require().NoError(err)
				other := first.Keyset.Primary
				_, err = a.Decrypt(ciphertext, w.associatedData(other))
				s.Require().Error(err)
				_, err = a.Decrypt(posing(other, ciphertext), w.associatedData(other))
				s.Require().Error(err)
				_, err = a.Decrypt(flipped(ciphertext), w.associatedData(id))
				s.Require().Error(err)
			}
		})
		s.Run("v2 reads, "+alg.name, func() {
			first, _ := s.v1New(alg.template)
			second, values := s.v1Rotates(first, alg.template)
			a, err := aead.New(s.v1Unwraps(second))
			s.Require().NoError(err)
			for _, w := range values {
				id, ciphertext, err := parse(w.text)
				s.Require().NoError(err)
				other := first.Primary
				misbound, err := a.Encrypt(w.value, w.associatedData(other))
				s.Require().NoError(err)
				s.Require().Equal("decrypt", s.v2Opens(second, w.place, text(id, misbound)))
				s.Require().Equal("ErrMalformed", s.v2Opens(second, w.place, text(other, misbound)))
				s.Require().Equal("decrypt", s.v2Opens(second, w.place, text(other, posing(other, ciphertext))))
				s.Require().Equal("decrypt", s.v2Opens(second, w.place, text(id, flipped(ciphertext))))
			}
		})
	}
}

// another is a wrapped keyset of the same registry, generation, KEK and parameters.
func (s *compatibilitySuite) another() []byte {
	a, _ := s.v2New(algorithms()[0].name)
	return a.Keyset.Wrapped
}

// posing is the ciphertext as if it were under another key.
func posing(keyID uint32, ciphertext []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0x01}, keyID), ciphertext[5:]...)
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}
