package tests

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"

	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// Parameters that would take more memory or time than is allowed, or make no sense, are refused before they cost anything:
// a file may come from anybody.
func (s *attackSuite) TestParametersOfAKEKAreCheckedBeforeTheyCost() {
	path := s.create("x.db", cheapPassphrase(attackPassphrase))
	salt := base64.RawStdEncoding.EncodeToString(make([]byte, 16))
	commitment := "$" + base64.RawStdEncoding.EncodeToString(make([]byte, 32))
	params := func(m, t, p string) string {
		return fmt.Sprintf("$argon2id$v=19$m=%s,t=%s,p=%s$%s%s", m, t, p, salt, commitment)
	}
	salted := func(bytes int) string {
		return "$argon2id$v=19$m=8192,t=1,p=1$" + base64.RawStdEncoding.EncodeToString(make([]byte, bytes)) + commitment
	}
	committed := func(bytes int) string {
		return strings.TrimSuffix(params("8192", "1", "1"), commitment) + "$" + base64.RawStdEncoding.EncodeToString(make([]byte, bytes))
	}
	for name, text := range map[string]string{
		"no memory":                  params("0", "1", "1"),
		"too little memory":          params("8191", "1", "1"),
		"256 MiB and a little":       params("262145", "1", "1"),
		"100 GiB":                    params("104857600", "1", "1"),
		"4 TiB":                      params("4294967295", "1", "1"),
		"memory that overflows":      params("4294975488", "1", "1"),
		"negative memory":            params("-8192", "1", "1"),
		"no pass":                    params("8192", "0", "1"),
		"11 passes":                  params("8192", "11", "1"),
		"passes without end":         params("8192", "4294967295", "1"),
		"passes that overflow":       params("8192", "4294967297", "1"),
		"no lane":                    params("8192", "1", "0"),
		"17 lanes":                   params("8192", "1", "17"),
		"255 lanes":                  params("8192", "1", "255"),
		"lanes that overflow":        params("8192", "1", "257"),
		"all of it at once":          params("4294967295", "4294967295", "255"),
		"no salt":                    salted(0),
		"salt of 8 bytes":            salted(8),
		"salt of 15 bytes":           salted(15),
		"salt of 65 bytes":           salted(65),
		"salt of a million bytes":    salted(1 << 20),
		"salt that is not base64":    "$argon2id$v=19$m=8192,t=1,p=1$!!!!!!!!!!!!!!!!!!!!!!" + commitment,
		"no commitment":              strings.TrimSuffix(params("8192", "1", "1"), commitment),
		"an empty commitment":        committed(0),
		"a commitment of 31 bytes":   committed(31),
		"a commitment of 64 bytes":   committed(64),
		"a commitment of a million":  committed(1 << 20),
		"salt with padding":          params("8192", "1", "1") + "==",
		"leading zeros":              params("08192", "1", "1"),
		"plus sign":                  params("+8192", "1", "1"),
		"hexadecimal":                params("0x2000", "1", "1"),
		"spaces":                     params("8192", " 1", "1"),
		"a line more":                params("8192", "1", "1") + "\n",
		"one part more":              params("8192", "1", "1") + "$AAAA",
		"another version":            strings.Replace(params("8192", "1", "1"), "v=19", "v=16", 1),
		"argon2i":                    strings.Replace(params("8192", "1", "1"), "argon2id", "argon2i", 1),
		"another order":              "$argon2id$v=19$t=1,m=8192,p=1$" + salt + commitment,
		"empty":                      "",
		"one character":              "$",
		"garbage":                    "\xff\x00\xfe%s%d%n",
		"a million characters":       strings.Repeat("x", 1<<20),
		"a number of a million":      params(strings.Repeat("9", 1<<20), "1", "1"),
		"a salt of a million dashes": "$argon2id$v=19$m=8192,t=1,p=1$" + strings.Repeat("-", 1<<20),
		"NULs":                       strings.Repeat("\x00", 1<<10),
	} {
		s.Run(name, func() {
			forged := s.copied(path, "x.db")
			s.forge(forged, "UPDATE keyset SET kek_params = "+textLiteral(text))
			allocated := s.allocated(func() {
				_, err := registry.OpenEncrypted(s.T().Context(), forged, cheapPassphrase(attackPassphrase))
				s.refuses(err, registry.ErrWrongKey)
			})
			limit := uint64(4 << 20) // half of what the least derivation takes
			if len(text) > 1<<10 {
				limit = 64 << 20
			}
			s.Require().Less(allocated, limit)
			s.refusesToOpen(forged, cheapPassphrase(attackPassphrase), registry.ErrWrongKey)
			s.staysLocked(forged)
		})
	}
	s.opensWhole(path, cheapPassphrase(attackPassphrase))
}

// allocated is how many bytes f, and whatever runs beside it, took from the heap. A derivation takes all of its memory there.
func (s *attackSuite) allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The passphrase of a file that an attacker gave other, valid parameters: they are used, and do not help.
func (s *attackSuite) TestOtherParametersDoNotOpenTheKeyset() {
	path := s.create("x.db", cheapPassphrase(attackPassphrase))
	for _, forged := range []string{
		"kek_params = substr(kek_params, 1, length(kek_params) - 43) || '" + base64.RawStdEncoding.EncodeToString(make([]byte, 32)) + "'",
		"kek_params = replace(kek_params, 'p=1', 'p=2')",
		"kek_params = replace(kek_params, 't=1', 't=2')",
	} {
		s.forge(path, "UPDATE keyset SET "+forged)
		s.refusesToOpen(path, cheapPassphrase(attackPassphrase), registry.ErrWrongKey)
	}
}

// An attacker who guesses pays what the registry pays: a whole keyset of theirs under the right guess does not open if it is cheaper
// than any that the registry makes.
func (s *attackSuite) TestAKeysetUnderACheapGuessDoesNotOpen() {
	path := s.create("x.db", keyset.Passphrase(attackPassphrase))
	row, _ := s.unwrapped(path, keyset.Passphrase(attackPassphrase))
	handle, err := keyset.New(keyset.XChaCha20Poly1305)
	s.Require().NoError(err)
	for _, cost := range []kdf.Cost{
		{Time: 1, MemoryKiB: 8 << 10, Threads: 1}, {Time: 2, MemoryKiB: 64 << 10, Threads: 4}, {Time: 3, MemoryKiB: 32 << 10, Threads: 4},
	} {
		w, err := keyset.PassphraseAtCost(attackPassphrase, cost).Prepare()
		s.Require().NoError(err)
		wrapped, err := w.Wrap(handle, envelope.Keyset(row.RegistryID, row.Generation, handle.Primary(), row.KEK, w.Params()))
		s.Require().NoError(err)
		s.forge(path, fmt.Sprintf("UPDATE keyset SET marker = '%s', kek_params = '%s', wrapped = x'%x'",
			envelope.Marker(handle.Primary()), w.Params(), wrapped))
		s.refusesToOpen(path, keyset.Passphrase(attackPassphrase), registry.ErrWrongKey)
	}
}
