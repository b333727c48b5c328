package tinkv1

import (
	"github.com/google/tink/go/aead"
	"github.com/google/tink/go/keyset"
	tinkpb "github.com/google/tink/go/proto/tink_go_proto"
)

func (s *compatibilitySuite) TestV1ReadsWhatV2Wrote() {
	s.eachPair(func(first, next algorithm) {
		created, older := s.v2New(first.name)
		s.requireUnder(created.Keyset.Primary, older)
		s.Require().Equal(created.Keys, s.v1Keys(created.Keyset))
		s.requireV1Reads(created.Keyset, older)

		rotated, newer := s.v2Rotates(created.Keyset, next.name)
		s.Require().NotEqual(created.Keyset.Primary, rotated.Keyset.Primary)
		s.requireUnder(rotated.Keyset.Primary, newer)
		s.Require().Len(rotated.Keys, 2)
		s.Require().Equal(rotated.Keys, s.v1Keys(rotated.Keyset))
		s.requireV1Reads(rotated.Keyset, older)
		s.requireV1Reads(rotated.Keyset, newer)

		retired := s.v2(request{Do: "retire", Keyset: rotated.Keyset})
		s.Require().Len(retired.Keys, 1)
		s.Require().Equal(retired.Keys, s.v1Keys(retired.Keyset))
		s.requireV1Reads(retired.Keyset, newer)
		for _, w := range older {
			s.Require().Error(s.v1Opens(retired.Keyset, w.place, w.text))
		}
	})
}

func (s *compatibilitySuite) TestV2ReadsWhatV1Wrote() {
	s.eachPair(func(first, next algorithm) {
		created, older := s.v1New(first.template)
		s.Require().Equal([]key{{created.Primary, true, "enabled", first.name}}, s.v2Keys(created))
		s.requireV2Reads(created, older)

		rotated, newer := s.v1Rotates(created, next.template)
		s.Require().NotEqual(created.Primary, rotated.Primary)
		s.Require().Equal([]key{
			{created.Primary, false, "enabled", first.name}, {rotated.Primary, true, "enabled", next.name},
		}, s.v2Keys(rotated))
		s.requireV2Reads(rotated, older)
		s.requireV2Reads(rotated, newer)

		m := keyset.NewManagerFromHandle(s.v1Unwraps(rotated))
		s.Require().NoError(m.Delete(created.Primary))
		h, err := m.Handle()
		s.Require().NoError(err)
		retired, _ := s.v1Stores(rotated, h)
		s.Require().Equal([]key{{rotated.Primary, true, "enabled", next.name}}, s.v2Keys(retired))
		s.requireV2Reads(retired, newer)
		for _, w := range older {
			s.Require().Equal("decrypt", s.v2Opens(retired, w.place, w.text))
		}
	})
}

// Nothing of a keyset is lost to a library that did not write it: each goes on where the other stopped.
func (s *compatibilitySuite) TestTheLibrariesTakeTurnsAtRotating() {
	s.eachPair(func(first, next algorithm) {
		r, values := s.v1New(first.template)
		for _, a := range []algorithm{next, first} {
			rotated, more := s.v2Rotates(r, a.name)
			r, values = rotated.Keyset, append(values, more...)
			s.Require().Equal(rotated.Keys, s.v1Keys(r))
			s.requireV1Reads(r, values)

			r, more = s.v1Rotates(r, a.template)
			values = append(values, more...)
			s.Require().Equal(s.v1Keys(r), s.v2Keys(r))
			s.requireV2Reads(r, values)
		}
		s.Require().Len(s.v2Keys(r), 5)
		s.Require().EqualValues(5, r.Generation)
	})
}

// v1 has no XAES-256-GCM. It uses no keyset with such a key in it, whatever the others are, and reads on once that is gone.
func (s *compatibilitySuite) TestV1RefusesAKeysetWithXAES256GCM() {
	known := algorithms()[0]
	alone, _ := s.v2New(xaes)
	created, older := s.v2New(known.name)
	primary, _ := s.v2Rotates(created.Keyset, xaes)
	among, newer := s.v2Rotates(primary.Keyset, known.name)
	for name, r := range map[string]row{"alone": alone.Keyset, "primary": primary.Keyset, "among others": among.Keyset} {
		s.Run(name, func() {
			h := s.v1Unwraps(r) // its ids can be shown
			_, err := aead.New(h)
			s.Require().ErrorContains(err, "XAesGcmKey") // v1 has no errors but their texts
		})
	}
	s.requireV2Reads(among.Keyset, older)
	retired := s.v2(request{Do: "retire", Keyset: among.Keyset})
	s.requireV1Reads(retired.Keyset, newer)
}

// A registry has no algorithms but its own, and each value names its key: v1's other templates are refused by name.
func (s *compatibilitySuite) TestV2RefusesTheTemplatesThatARegistryDoesNotHave() {
	raw := aead.XChaCha20Poly1305KeyTemplate()
	raw.OutputPrefixType = tinkpb.OutputPrefixType_RAW
	for name, template := range map[string]*tinkpb.KeyTemplate{
		"AES-128-GCM":                         aead.AES128GCMKeyTemplate(),
		"AES-256-GCM without a prefix":        aead.AES256GCMNoPrefixKeyTemplate(),
		"AES-256-CTR-HMAC-SHA256":             aead.AES256CTRHMACSHA256KeyTemplate(),
		"ChaCha20-Poly1305":                   aead.ChaCha20Poly1305KeyTemplate(),
		"XChaCha20-Poly1305 without a prefix": raw,
	} {
		s.Run(name, func() {
			alone, _ := s.v1New(template)
			s.Require().Equal("ErrUnsupported", s.v2Refusal(request{Do: "describe", Keyset: alone}))
			r, _ := s.v1New(algorithms()[0].template)
			among, _ := s.v1Rotates(r, template)
			s.Require().Equal("ErrUnsupported", s.v2Refusal(request{Do: "describe", Keyset: among}))
		})
	}
}
