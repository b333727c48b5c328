package tests

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
)

// guardsOfEncryption are the triggers that keep plaintext out and the keyset in.
var guardsOfEncryption = []string{
	"keyset_insert", "keyset_update", "keyset_delete", "config_insert_value", "config_update_value", "config_update",
}

// An encrypted file that lacks one of its guards, or has another in its place, is opened by nobody, with a key or without.
func (s *attackSuite) TestAMissingGuardIsNamedInEachWayToOpen() {
	whole := s.create("whole.db", rawKEK32())
	damages := map[string][2]string{ // a statement, and what the error must name
		"no keyset table":             {"DROP TABLE keyset", "keyset"},
		"a column more":               {"ALTER TABLE keyset ADD COLUMN owner TEXT", "keyset"},
		"a column of another name":    {"ALTER TABLE keyset RENAME COLUMN kek TO key_kind", "keyset"},
		"a unique index":              {"CREATE UNIQUE INDEX stranger ON keyset (marker)", "keyset"},
		"a trigger on keyset":         {"CREATE TRIGGER stranger AFTER UPDATE ON keyset BEGIN SELECT 1; END", "stranger"},
		"a trigger on KEYSET":         {"CREATE TRIGGER stranger AFTER UPDATE ON KEYSET BEGIN SELECT 1; END", "stranger"},
		"a trigger that copies":       {"CREATE TRIGGER stranger AFTER INSERT ON config BEGIN UPDATE modules SET name = NEW.value; END", "stranger"},
		"a trigger that takes values": {"CREATE TRIGGER stranger BEFORE UPDATE ON config BEGIN DELETE FROM config; END", "stranger"},
	}
	for _, name := range guardsOfEncryption {
		text := s.trigger(whole, name)
		damages[name+" dropped"] = [2]string{"DROP TRIGGER " + name, name}
		damages[name+" altered"] = [2]string{
			fmt.Sprintf("DROP TRIGGER %s; %s SELECT 1; END", name, strings.TrimSuffix(text, "END")), name,
		}
		damages[name+" never runs"] = [2]string{fmt.Sprintf("DROP TRIGGER %s; %s", name,
			strings.Replace(text, "WHEN ", "WHEN 0 AND ", 1)), name}
		damages[name+" under another name"] = [2]string{fmt.Sprintf("DROP TRIGGER %s; %s", name,
			strings.Replace(text, name, name+"2", 1)), name}
	}
	for name, damage := range damages {
		s.Run(name, func() {
			path, ctx := s.copied(whole, "x.db"), s.T().Context()
			sqliteExec(s.T(), path, damage[0])
			s.Require().ErrorContains(s.refusesToOpen(path, rawKEK32(), registry.ErrCorrupt), damage[1])
			before := s.content(path)
			reg, err := registry.Open(ctx, path)
			s.Require().Nil(reg)
			s.refuses(err, registry.ErrCorrupt)
			s.Require().ErrorContains(err, damage[1])
			_, err = registry.Encrypt(ctx, path, rawKEK32())
			s.refuses(err, registry.ErrCorrupt)
			s.refuses(registry.Decrypt(ctx, path, rawKEK32()), registry.ErrCorrupt)
			s.Require().Equal(before, s.content(path))
		})
	}
}

// trigger is a trigger's text.
func (s *attackSuite) trigger(path, name string) string {
	s.T().Helper()
	raw := s.raw(path)
	catalog, err := db.New().ListCatalog(s.T().Context(), raw)
	s.Require().NoError(err)
	s.Require().NoError(raw.Close())
	for _, object := range catalog {
		if object.Kind == "trigger" && object.ObjectName == name {
			return object.Definition
		}
	}
	s.Require().Fail("no trigger " + name)
	return ""
}

// A registry that is open when its guards go writes nothing more, says which are gone, and reads on.
func (s *attackSuite) TestWithoutGuardsTheRegistryItselfStoresNoPlaintext() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	raw := s.raw(path)
	restore := s.lift(raw, regexp.MustCompile(`^config_(insert|update)_value$`))
	before := s.dump(raw)
	ctx := s.T().Context()
	_, err := reg.SetConfig(ctx, "new", canary)
	s.refuses(err, registry.ErrCorrupt)
	s.Require().ErrorContains(err, "config_insert_value")
	_, err = reg.DeleteConfig(ctx, victim)
	s.refuses(err, registry.ErrCorrupt)
	_, err = reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrCorrupt)
	s.Require().Equal(before, s.dump(raw))
	s.neighboursRead(reg)
	report, err := reg.Verify(ctx)
	s.refuses(err, registry.ErrCorrupt)
	s.Require().Len(report.Problems, 2)

	restore()
	s.set(reg, "new", canary)
	s.Require().True(strings.HasPrefix(s.storedIn(reg, "new"), "enc:v1:"))
}

// What somebody put there while a guard was gone is never taken for a value: not by reading, not by rotating, not by
// decrypting the file.
func (s *attackSuite) TestPlantedPlaintextIsNeverAdopted() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	ctx := s.T().Context()
	s.plant(path, victim, `"evil"`)
	report, err := reg.RotateKeyset(ctx)
	s.refuses(err, registry.ErrTampered)
	s.Require().Equal([]string{victim}, report.Unopened)
	s.Require().EqualValues(2, report.Reencrypted)
	s.Require().Equal(`"evil"`, s.storedIn(reg, victim))
	s.cannotRead(reg, victim, registry.ErrTampered)
	s.neighboursRead(reg)
	s.Require().NoError(reg.Rewrap(ctx, cheapPassphrase(attackPassphrase)))
	s.cannotRead(reg, victim, registry.ErrTampered)
	s.Require().NoError(reg.Close())

	before := s.content(path)
	err = registry.Decrypt(ctx, path, cheapPassphrase(attackPassphrase))
	s.refuses(err, registry.ErrTampered)
	s.Require().ErrorContains(err, victim)
	s.Require().Equal(before, s.content(path))
	s.heals(s.open(path, cheapPassphrase(attackPassphrase)), victim)
}
