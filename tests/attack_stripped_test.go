package tests

import (
	"fmt"

	"github.com/oxide-k/stateregistry/registry"
)

// The ways to take the mark of encryption away that plain SQL has: each is a transaction that no guard refuses.
const (
	emptyMarker = "UPDATE keyset SET generation = generation + 1, marker = ''" // as Decrypt does
	dropKeyset  = "DELETE FROM keyset"
)

func plaintextFor(key string) string {
	return fmt.Sprintf(`UPDATE config SET value = '"evil"' WHERE key = '%s'`, key)
}

// A registry whose keyset is gone, and whose values are still encrypted: it is neither opened nor given a new keyset.
func (s *attackSuite) TestARegistryWithoutItsKeysetIsNotEncryptedAnew() {
	for name, statements := range map[string][]string{
		"all values encrypted": {emptyMarker, dropKeyset},
		"one value encrypted":  {emptyMarker, dropKeyset, plaintextFor(victim), plaintextFor(neighbour2)},
		"one of a newer form":  {emptyMarker, dropKeyset, plaintextFor(victim), plaintextFor(neighbour2)},
	} {
		s.Run(name, func() {
			path := s.create("x.db", rawKEK32())
			s.exec(s.raw(path), statements...)
			if name == "one of a newer form" {
				s.plant(path, neighbour1, "enc:v2:12345678:AAAA")
			}
			s.refusesToOpen(path, rawKEK32(), registry.ErrWrongKey, registry.ErrCorrupt)
			before := s.content(path)
			_, err := registry.Encrypt(s.T().Context(), path, rawKEK32())
			s.refuses(err, registry.ErrEncrypted, registry.ErrDecode)
			s.refuses(registry.Decrypt(s.T().Context(), path, rawKEK32()), registry.ErrNotEncrypted)
			s.Require().Equal(before, s.content(path))
			// Without the key it is a registry with values that nobody can read.
			reg := s.openLocked(path)
			s.refuses(reg.GetConfig(s.T().Context(), neighbour1, new(any)), registry.ErrEncrypted)
			_, err = reg.Verify(s.T().Context())
			s.refuses(err, registry.ErrCorrupt)
		})
	}
}

// Plaintext in the place of all values, and no keyset: what an attacker wrote there is not taken for the registry's own.
func (s *attackSuite) TestPlaintextInAStrippedRegistryIsNotAdopted() {
	path := s.create("x.db", rawKEK32())
	s.exec(s.raw(path), emptyMarker, dropKeyset, plaintextFor(victim), plaintextFor(neighbour1), plaintextFor(neighbour2))
	s.refusesToOpen(path, rawKEK32(), registry.ErrNotEncrypted)
}

func (s *attackSuite) TestAStrippedMarkerIsNoticed() {
	for name, statements := range map[string][]string{
		"emptied":                   {emptyMarker},
		"emptied, values plaintext": {emptyMarker, plaintextFor(victim), plaintextFor(neighbour1), plaintextFor(neighbour2)},
		"another key's": {
			"UPDATE keyset SET generation = generation + 1, marker = 'enc:v1:00000001:'",
			"UPDATE config SET value = 'enc:v1:00000001:' || substr(value, 17) WHERE key = '" + victim + "'",
		},
	} {
		s.Run(name, func() {
			path := s.create("x.db", rawKEK32())
			s.exec(s.raw(path), statements...)
			s.refusesToOpen(path, rawKEK32(), registry.ErrWrongKey)
			before := s.content(path)
			_, err := registry.Encrypt(s.T().Context(), path, rawKEK32())
			s.refuses(err, registry.ErrWrongKey)
			s.refuses(registry.Decrypt(s.T().Context(), path, rawKEK32()), registry.ErrWrongKey)
			s.Require().Equal(before, s.content(path))
			s.staysLocked(path)
		})
	}
}

// A handle that was open meanwhile goes on with the keyset that it has: what it can open it reads, and never plaintext.
func (s *attackSuite) TestAnOpenRegistryReadsOnWhileItIsStripped() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	ctx := s.T().Context()
	raw := s.raw(path)
	s.exec(raw, emptyMarker, plaintextFor(victim))
	s.neighboursRead(reg)
	s.cannotRead(reg, victim, registry.ErrWrongKey)
	_, err := reg.SetConfig(ctx, victim, canary)
	s.refuses(err, registry.ErrWrongKey)
	_, err = reg.KeysetInfo(ctx)
	s.refuses(err, registry.ErrWrongKey)
	_, err = reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrWrongKey)
	s.refuses(reg.Rewrap(ctx, cheapPassphrase(attackPassphrase)), registry.ErrWrongKey)
	_, err = reg.Verify(ctx)
	s.refuses(err, registry.ErrCorrupt)

	s.exec(raw, dropKeyset)
	s.neighboursRead(reg)
	s.cannotRead(reg, victim, registry.ErrNotEncrypted)
	_, err = reg.SetConfig(ctx, victim, canary)
	s.refuses(err, registry.ErrNotEncrypted)
	_, err = reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrNotEncrypted)
	_, err = reg.Verify(ctx)
	s.refuses(err, registry.ErrNotEncrypted)
}

// The same without a new generation, past the guards. A handle that has this generation must not take its own keyset for
// the stored one.
func (s *attackSuite) TestAnOpenRegistryNoticesAMarkerOfItsOwnGeneration() {
	for name, marker := range map[string]string{"emptied": "", "another key's": "enc:v1:00000001:"} {
		s.Run(name, func() {
			path := s.create("x.db", rawKEK32())
			reg := s.open(path, rawKEK32())
			s.forge(path, fmt.Sprintf("UPDATE keyset SET marker = '%s'", marker))
			s.neighboursRead(reg)
			_, err := reg.SetConfig(s.T().Context(), victim, canary)
			s.refuses(err)
			s.Require().True(isOneOf(err, registry.ErrWrongKey, registry.ErrCorrupt), "%v", err)
			report, err := reg.Verify(s.T().Context())
			s.Require().ErrorIs(err, registry.ErrCorrupt, "%v", report)
		})
	}
}

// What is damaged can still be saved while a handle is open, if somebody says so.
func (s *attackSuite) TestVerifyNoticesADamagedKeysetOfItsOwnGeneration() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	s.forge(path, "UPDATE keyset SET wrapped = zeroblob(length(wrapped))")
	s.neighboursRead(reg)
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt, "%v", report)
}

// A newer generation that does not open: what the handle knows reads on, what it does not know is the wrong key's.
func (s *attackSuite) TestAForgedNewerGenerationIsNoticedAndCostsNothing() {
	path := s.create("x.db", cheapPassphrase(attackPassphrase))
	reg := s.open(path, cheapPassphrase(attackPassphrase))
	ctx := s.T().Context()
	// No guard has to be lifted: the marker is a new one, and the value bears it.
	s.exec(s.raw(path),
		"UPDATE keyset SET generation = generation + 1, marker = 'enc:v1:00000001:', wrapped = zeroblob(length(wrapped))",
		"UPDATE config SET value = 'enc:v1:00000001:' || substr(value, 17) WHERE key = '"+victim+"'")
	s.cannotRead(reg, victim, registry.ErrWrongKey)
	s.neighboursRead(reg)
	// With the parameters that it has, the key is derived already; with forged ones it is derived once.
	for _, set := range []string{"wrapped = wrapped", "kek_params = replace(kek_params, 'm=8192', 'm=16384')"} {
		s.exec(s.raw(path), "UPDATE keyset SET generation = generation + 1, "+set)
		s.refuses(reg.GetConfig(ctx, victim, new(any)), registry.ErrWrongKey)
		allocated := s.allocated(func() {
			for range 100 {
				s.Require().ErrorIs(reg.GetConfig(ctx, victim, new(any)), registry.ErrWrongKey)
			}
		})
		s.Require().Less(allocated, uint64(8<<20), "it was derived again")
	}
	s.neighboursRead(reg)
	_, err := reg.SetConfig(ctx, victim, canary)
	s.refuses(err, registry.ErrWrongKey)
}
