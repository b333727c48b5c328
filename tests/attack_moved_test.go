package tests

import (
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// Two values that changed places carry the right marker: the guards let them pass, and nobody has to lift any.
func (s *attackSuite) TestSwappedValuesAreNoticed() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	s.set(reg, "m/other", canary)
	one, other := s.stored(path, victim), s.stored(path, "m/other")
	s.exec(s.raw(path), fmt.Sprintf("UPDATE config SET value = '%s' WHERE key = '%s'", other, victim),
		fmt.Sprintf("UPDATE config SET value = '%s' WHERE key = 'm/other'", one))
	for _, r := range []*registry.Registry{reg, s.open(path, rawKEK32())} {
		s.bothAreProblems(r, victim, "m/other")
		s.neighboursRead(r)
	}
	s.set(reg, "m/other", "healed")
	s.heals(reg, victim)
}

// bothAreProblems fails unless each of two values is noticed as one that was not written there.
func (s *attackSuite) bothAreProblems(r *registry.Registry, keys ...string) {
	s.T().Helper()
	for _, key := range keys {
		_, err := registry.Get[any](s.T().Context(), r, key)
		s.refuses(err, registry.ErrTampered)
	}
	report, err := r.Verify(s.T().Context())
	s.refuses(err, registry.ErrCorrupt)
	s.Require().Len(report.Problems, len(keys))
}

func (s *attackSuite) TestAValueFromElsewhereIsNoticed() {
	type place struct {
		path string
		reg  *registry.Registry
		raw  *sql.DB
	}
	set := func(p place, key, text string) {
		_, err := p.raw.Exec(`INSERT INTO config (key, value, updated_at) VALUES (?1, ?2, '2026-06-01T00:00:00Z')
			ON CONFLICT (key) DO UPDATE SET value = ?2`, key, text)
		s.Require().NoError(err)
	}
	for name, move := range map[string]func(p place) (key string){
		"another key's": func(p place) string {
			set(p, victim, s.stored(p.path, neighbour1))
			return victim
		},
		"a new key": func(p place) string {
			set(p, "new", s.stored(p.path, victim))
			return "new"
		},
		"a key that is one character longer": func(p place) string {
			set(p, victim+"2", s.stored(p.path, victim))
			return victim + "2"
		},
		"a key in another case": func(p place) string {
			set(p, strings.ToUpper(victim), s.stored(p.path, victim))
			return strings.ToUpper(victim)
		},
		"a deleted key's": func(p place) string {
			s.set(p.reg, "gone", canary)
			text := s.stored(p.path, "gone")
			_, err := p.reg.DeleteConfig(s.T().Context(), "gone")
			s.Require().NoError(err)
			set(p, victim, text)
			return victim
		},
		"another registry's, same KEK, same key": func(p place) string {
			s.plant(p.path, victim, s.stored(s.create("other.db", rawKEK32()), victim))
			return victim
		},
		"one from before a rotation": func(p place) string {
			text := s.stored(p.path, victim)
			_, err := p.reg.RotateKeyset(s.T().Context())
			s.Require().NoError(err)
			s.plant(p.path, victim, text)
			return victim
		},
	} {
		s.Run(name, func() {
			path := s.create("x.db", rawKEK32())
			p := place{path, s.open(path, rawKEK32()), s.raw(path)}
			key := move(p)
			for _, reg := range []*registry.Registry{p.reg, s.open(path, rawKEK32())} {
				s.cannotRead(reg, key, registry.ErrTampered)
				s.isTheOneProblem(reg, key)
				s.neighboursRead(reg)
			}
			s.heals(p.reg, key)
		})
	}
}

// The registry's own key, used for anything but this row of this table of this registry. Nobody without the KEK can do
// that; it shows that each part of the binding counts.
func (s *attackSuite) TestAValueIsBoundToEachPartOfItsPlace() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	row, handle := s.unwrapped(path, rawKEK32())
	id, primary := row.RegistryID, handle.Primary()
	bindings := map[string][]byte{
		"another registry":  envelope.AppendValue(nil, strings.Repeat("0", 32), "config", victim, primary),
		"another table":     envelope.AppendValue(nil, id, "modules", victim, primary),
		"no table":          envelope.AppendValue(nil, id, "", victim, primary),
		"another key":       envelope.AppendValue(nil, id, "config", neighbour1, primary),
		"another key's id":  envelope.AppendValue(nil, id, "config", victim, primary+1),
		"a keyset":          envelope.Keyset(id, row.Generation, primary, row.KEK, row.KEKParams),
		"nothing":           nil,
		"the key alone":     []byte(victim),
		"one byte more":     append(envelope.AppendValue(nil, id, "config", victim, primary), 0),
		"fields that shift": envelope.AppendValue(nil, id, "configm", victim[1:], primary),
	}
	right := envelope.AppendValue(nil, id, "config", victim, primary)
	for name, binding := range bindings {
		s.Run(name, func() {
			s.plant(path, victim, s.sealed(handle, binding))
			s.cannotRead(reg, victim, registry.ErrTampered)
			s.neighboursRead(reg)
		})
	}
	s.plant(path, victim, s.sealed(handle, right))
	value, err := registry.Get[string](s.T().Context(), reg, victim)
	s.Require().NoError(err)
	s.Require().Equal(canary, value)
}

// A keyset of two keys, as it is where a value that cannot be opened keeps an old one alive.
func (s *attackSuite) TestTheIDOfAnotherKeyOfTheKeysetIsNoticed() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	ctx := s.T().Context()
	s.set(reg, "m/damaged", canary)
	old := s.stored(path, victim)
	damaged := s.stored(path, "m/damaged")
	s.plant(path, "m/damaged", damaged[:len(damaged)-4])
	report, err := reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrTampered)
	s.printsNoSecret(report)
	s.Require().Len(report.Kept, 1)
	s.Require().Equal([]string{"m/damaged"}, report.Unopened)
	text := s.stored(path, victim)
	s.Require().NotEqual(old[:16], text[:16])
	_, handle := s.unwrapped(path, rawKEK32())
	s.Require().True(handle.Has(report.Kept[0]) && handle.Has(report.Primary))
	for name, form := range map[string]string{
		"in the marker only":                         old[:16] + text[16:],
		"in the ciphertext only":                     text[:16] + s.withID(text, old[7:15])[16:],
		"in both":                                    s.withID(text, old[7:15]),
		"an unknown one in both":                     s.withID(text, "00000001"),
		"the old value, relabelled as the new key's": s.withID(old, text[7:15]),
	} {
		s.Run(name, func() {
			s.plant(path, victim, form)
			for _, r := range []*registry.Registry{reg, s.open(path, rawKEK32())} {
				s.Require().ErrorIs(r.GetConfig(ctx, victim, new(any)), registry.ErrTampered)
				s.neighboursRead(r)
			}
		})
	}
	// What is left of the attacks goes, and so does the old key.
	s.set(reg, "m/damaged", "healed")
	s.heals(reg, victim)
	report, err = reg.RotateKeyset(ctx)
	s.Require().NoError(err)
	s.Require().Empty(report.Kept)
	s.opensHealed(path)
}

// unwrapped is the keyset of a registry, and how it is stored.
func (s *attackSuite) unwrapped(path string, kek keyset.KEK) (db.GetKeysetRow, *keyset.Handle) {
	s.T().Helper()
	raw := s.raw(path)
	row, err := db.New().GetKeyset(s.T().Context(), raw)
	s.Require().NoError(err)
	s.Require().NoError(raw.Close())
	return row, s.opened(row, kek)
}

// opened opens the keyset in a row.
func (s *attackSuite) opened(row db.GetKeysetRow, kek keyset.KEK) *keyset.Handle {
	s.T().Helper()
	w, err := kek.PrepareStored(keyset.Kind(row.KEK), row.KEKParams)
	s.Require().NoError(err)
	primary, err := envelope.KeyID(row.Marker)
	s.Require().NoError(err)
	handle, err := w.Unwrap(row.Wrapped, envelope.Keyset(row.RegistryID, row.Generation, primary, row.KEK, row.KEKParams))
	s.Require().NoError(err)
	return handle
}

// sealed is the canary as JSON, encrypted for a binding.
func (s *attackSuite) sealed(handle *keyset.Handle, binding []byte) string {
	s.T().Helper()
	ciphertext, err := handle.Encrypt([]byte(`"`+canary+`"`), binding)
	s.Require().NoError(err)
	text, err := envelope.Seal(ciphertext)
	s.Require().NoError(err)
	return text
}

// withID is an envelope with another key's id, in the marker and in the ciphertext.
func (s *attackSuite) withID(text, id string) string {
	s.T().Helper()
	ciphertext, err := base64.RawURLEncoding.DecodeString(text[16:])
	s.Require().NoError(err)
	_, err = hex.Decode(ciphertext[1:5], []byte(id))
	s.Require().NoError(err)
	return "enc:v1:" + id + ":" + base64.RawURLEncoding.EncodeToString(ciphertext)
}
