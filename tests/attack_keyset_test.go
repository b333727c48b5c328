package tests

import (
	"fmt"
	"slices"

	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// Each bit of what is stored of the keyset, flipped alone in the file. No CHECK and no guard notices: the binding does.
func (s *attackSuite) TestEachFlippedBitOfTheKeysetIsNoticed() {
	for name, kek := range map[string]keyset.KEK{"raw key": rawKEK32(), "passphrase": cheapPassphrase(attackPassphrase)} {
		s.Run(name, func() {
			path := s.create("x.db", kek)
			row, _ := s.unwrapped(path, kek)
			whole := s.read(path)
			record := slices.Concat([]byte(row.Marker), []byte(row.KEK), []byte(row.KEKParams), row.Wrapped)
			parts := map[string][]byte{"registry id": []byte(row.RegistryID), "keyset": record}
			if row.KEKParams != "" { // the rest is the same for each kind, and costs a derivation a bit
				parts = map[string][]byte{"kek and its parameters": []byte(row.KEK + row.KEKParams)}
			}
			for part, text := range parts {
				for bit := range 8 * len(text) {
					flipped := s.writeFlipped(path, whole, text, bit)
					reg, err := registry.OpenEncrypted(s.T().Context(), path, kek)
					s.Require().Nil(reg, "%s, bit %d", part, bit)
					s.refuses(err, registry.ErrWrongKey)
					s.Require().Equal(flipped, s.read(path), "%s, bit %d", part, bit)
					if bit%97 == 0 {
						s.staysLocked(path)
					}
				}
			}
			s.write(path, whole)
			s.opensWhole(path, kek)
		})
	}
}

// staysLocked fails unless the registry is readable as far as it is without its key.
func (s *attackSuite) staysLocked(path string) {
	s.T().Helper()
	reg, err := registry.Open(s.T().Context(), path)
	s.Require().NoError(err)
	_, err = reg.GetModule(s.T().Context(), "echo")
	s.Require().NoError(err)
	s.refuses(reg.GetConfig(s.T().Context(), victim, new(any)), registry.ErrEncrypted)
	s.Require().NoError(reg.Close())
}

// Other numbers for the generation, those that the table's CHECK refuses among them.
func (s *attackSuite) TestEachFlippedBitOfTheGenerationIsNoticed() {
	path := s.create("x.db", rawKEK32())
	for bit := range 64 {
		s.forge(path, fmt.Sprintf("UPDATE keyset SET generation = %d", int64(1)^int64(1)<<bit))
		s.refusesToOpen(path, rawKEK32(), registry.ErrWrongKey)
	}
	s.forge(path, "UPDATE keyset SET generation = 1")
	s.opensWhole(path, rawKEK32())
}

// The keyset of another registry, of another generation, for another key: each opens under the same KEK, in its place.
func (s *attackSuite) TestTheKeysetIsBoundToItsPlace() {
	path := s.create("x.db", rawKEK32())
	row, handle := s.unwrapped(path, rawKEK32())
	w, err := rawKEK32().Prepare()
	s.Require().NoError(err)
	id, primary, generation := row.RegistryID, handle.Primary(), row.Generation
	other := "0" + id[1:]
	if other == id {
		other = "1" + id[1:]
	}
	for name, binding := range map[string][]byte{
		"another registry":   envelope.Keyset(other, generation, primary, row.KEK, ""),
		"another generation": envelope.Keyset(id, generation+1, primary, row.KEK, ""),
		"another primary":    envelope.Keyset(id, generation, primary+1, row.KEK, ""),
		"another kind":       envelope.Keyset(id, generation, primary, "passphrase", ""),
		"other parameters":   envelope.Keyset(id, generation, primary, row.KEK, "x"),
		"a value":            envelope.AppendValue(nil, id, "config", victim, primary),
		"nothing":            nil,
	} {
		s.Run(name, func() {
			moved := s.copied(path, "x.db")
			wrapped, err := w.Wrap(handle, binding)
			s.Require().NoError(err)
			s.forge(moved, fmt.Sprintf("UPDATE keyset SET wrapped = x'%x'", wrapped))
			s.refusesToOpen(moved, rawKEK32(), registry.ErrWrongKey)
		})
	}
}

// What an attacker can put into the row who has the file, another registry under the same KEK, and a KEK of his own.
func (s *attackSuite) TestAReplacedKeysetIsNoticed() {
	path := s.create("x.db", rawKEK32())
	first, _ := s.unwrapped(path, rawKEK32())
	reg := s.open(path, rawKEK32())
	_, err := reg.RotateKeyset(s.T().Context())
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	row, _ := s.unwrapped(path, rawKEK32())
	other, _ := s.unwrapped(s.create("other.db", rawKEK32()), rawKEK32())
	mine := keyset.RawKey([]byte("the attacker's own key of 32 byt"))
	own, err := keyset.New(keyset.XChaCha20Poly1305)
	s.Require().NoError(err)
	w, err := mine.Prepare()
	s.Require().NoError(err)
	wrap := func(generation int64, primary uint32) string {
		wrapped, err := w.Wrap(own, envelope.Keyset(row.RegistryID, generation, primary, row.KEK, ""))
		s.Require().NoError(err)
		return fmt.Sprintf("x'%x'", wrapped)
	}
	primary, err := envelope.KeyID(row.Marker)
	s.Require().NoError(err)
	for name, set := range map[string]string{
		"another registry's keyset":        fmt.Sprintf("wrapped = x'%x'", other.Wrapped),
		"another registry's, with marker":  fmt.Sprintf("wrapped = x'%x', marker = '%s'", other.Wrapped, other.Marker),
		"another registry's whole row":     fmt.Sprintf("wrapped = x'%x', marker = '%s', generation = %d", other.Wrapped, other.Marker, other.Generation),
		"an older one of its own":          fmt.Sprintf("wrapped = x'%x'", first.Wrapped),
		"an older one, with marker":        fmt.Sprintf("wrapped = x'%x', marker = '%s'", first.Wrapped, first.Marker),
		"an older one as the next":         fmt.Sprintf("wrapped = x'%x', marker = '%s', generation = generation + 1", first.Wrapped, first.Marker),
		"the attacker's":                   "wrapped = " + wrap(row.Generation, primary),
		"the attacker's, with marker":      fmt.Sprintf("wrapped = %s, marker = '%s'", wrap(row.Generation, own.Primary()), envelope.Marker(own.Primary())),
		"the attacker's, as the next":      fmt.Sprintf("wrapped = %s, marker = '%s', generation = generation + 1", wrap(row.Generation+1, own.Primary()), envelope.Marker(own.Primary())),
		"a byte more":                      "wrapped = CAST(wrapped || x'00' AS BLOB)",
		"Tink's keyset_info behind it":     "wrapped = CAST(wrapped || x'1200' AS BLOB)",
		"Tink's encrypted_keyset before":   fmt.Sprintf("wrapped = CAST(x'12%02x' || wrapped AS BLOB)", len(row.Wrapped)),
		"a byte less":                      "wrapped = substr(wrapped, 1, length(wrapped) - 1)",
		"twice":                            "wrapped = CAST(wrapped || wrapped AS BLOB)",
		"nothing":                          "wrapped = x''",
		"zeros":                            "wrapped = zeroblob(length(wrapped))",
		"a gigantic one":                   "wrapped = zeroblob(20000000)",
		"another kind":                     "kek = 'aead'",
		"a kind that there is not":         "kek = 'none'",
		"no kind":                          "kek = ''",
		"parameters for a raw key":         "kek_params = 'x'",
		"a huge kind":                      "kek = hex(zeroblob(1000000))",
		"an unmarked one":                  "marker = ''",
		"another key's marker":             "marker = 'enc:v1:00000001:'",
		"a marker in upper case":           "marker = 'ENC' || substr(marker, 4)",
		"a marker of another version":      "marker = 'enc:v2' || substr(marker, 7)",
		"a marker with more behind it":     "marker = marker || 'A'",
		"a short marker":                   "marker = 'enc:'",
		"the marker of the older":          "marker = '" + first.Marker + "'",
		"a marker that is any value's":     "marker = '\"'",
		"a generation more":                "generation = generation + 1",
		"a generation less":                "generation = generation - 1",
		"generation 0":                     "generation = 0",
		"a negative generation":            "generation = -generation",
		"the greatest generation":          "generation = 9223372036854775807",
		"the id of another registry":       "scrub = scrub; DROP TABLE IF EXISTS none; UPDATE registry SET id = '" + other.RegistryID + "'",
		"the id of this one in upper case": "scrub = scrub; UPDATE registry SET id = upper(id)",
	} {
		s.Run(name, func() {
			replaced := s.copied(path, "x.db")
			s.forge(replaced, "UPDATE keyset SET "+set)
			s.refusesToOpen(replaced, rawKEK32(), registry.ErrWrongKey)
			s.staysLocked(replaced)
			s.refuses(registry.Decrypt(s.T().Context(), replaced, rawKEK32()), registry.ErrWrongKey)
			_, err := registry.Encrypt(s.T().Context(), replaced, rawKEK32())
			s.refuses(err, registry.ErrWrongKey)
		})
	}
	s.opensWhole(path, rawKEK32())
}

// Values of another type than the columns', which only a CHECK keeps out: damage, or the wrong key, and no other error.
func (s *attackSuite) TestAKeysetOfOtherTypesHasANamedError() {
	for _, set := range []string{
		"generation = 'two'", "generation = x'01'", "generation = 1.5", "marker = CAST(marker AS BLOB)", "kek = CAST(kek AS BLOB)",
		"kek_params = x''", "wrapped = CAST(wrapped AS TEXT)", "wrapped = 7", "scrub = 'x'", "scrub = 1.5", "scrub = x'01'",
		"one = 2",
	} {
		s.Run(set, func() {
			path := s.create("x.db", rawKEK32())
			s.forge(path, "UPDATE keyset SET "+set)
			reg, err := registry.OpenEncrypted(s.T().Context(), path, rawKEK32())
			if err != nil {
				s.Require().True(isOneOf(err, registry.ErrWrongKey, registry.ErrCorrupt), "%v", err)
				return
			}
			defer reg.Close()
			s.neighboursRead(reg)
		})
	}
}
