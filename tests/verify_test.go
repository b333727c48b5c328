package tests

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// Verify finds what is wrong, names it, and says so with ErrCorrupt.
func TestVerify(t *testing.T) {
	runInFileModes(t, func() *verifySuite { return &verifySuite{} })
}

type verifySuite struct {
	fileSuite
	whole string // a filled registry
}

// SetupSuite makes it.
func (s *verifySuite) SetupSuite() {
	s.dir = s.T().TempDir()
	s.whole = s.create("whole.db", registry.WithMigrations("notes", notesV1))
}

// requireFound opens a filled registry, damages it behind its back, and fails unless Verify finds that and nothing else.
func (s *verifySuite) requireFound(subject, key string, damage ...string) {
	s.T().Helper()
	path := s.file("x.db")
	copyFile(s.T(), s.whole, path)
	reg, err := s.tryOpen(path, registry.WithMigrations("notes", notesV1))
	s.Require().NoError(err)
	defer reg.Close()
	s.damage(path, damage)
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	s.Require().NotEmpty(report.Problems)
	for _, problem := range report.Problems {
		s.Require().Equal(subject, problem.Subject, "%s", problem)
		s.Require().Equal(key, problem.Key, "%s", problem)
		s.Require().NotEmpty(problem.Text)
		s.Require().ErrorContains(err, report.Problems[0].String())
	}
}

// damage runs the statements, past the guards that stand in their way.
func (s *verifySuite) damage(path string, statements []string) {
	s.T().Helper()
	for _, statement := range statements {
		switch {
		case strings.Contains(statement, "TRIGGER"):
			sqliteExec(s.T(), path, statement)
		case strings.Contains(statement, "SET revision"):
			sqliteDamage(s.T(), path, revisionGuards, statement)
		default:
			sqliteDamage(s.T(), path, rowGuards, statement)
		}
	}
}

func (s *verifySuite) TestACleanRegistryGivesItsCounts() {
	reg := s.open(s.create("x.db"))
	report, err := reg.Verify(s.T().Context())
	s.Require().NoError(err)
	s.Require().Equal(registry.VerifyReport{Modules: 2, Config: 3, Changes: 5}, report)
	_, err = reg.DeleteConfig(s.T().Context(), "greeting")
	s.Require().NoError(err)
	report, err = reg.Verify(s.T().Context())
	s.Require().NoError(err)
	s.Require().Equal(registry.VerifyReport{Modules: 2, Config: 2, Changes: 6}, report)
}

func (s *verifySuite) TestValuesAreCounted() {
	reg := s.open(s.file("x.db"))
	ctx := s.T().Context()
	const entries = 1000 // several pages
	s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		for i := range entries {
			if _, err := tx.SetConfig(ctx, fmt.Sprint("key", i), i); err != nil {
				return err
			}
		}
		return nil
	}))
	report, err := reg.Verify(ctx)
	s.Require().NoError(err)
	s.Require().EqualValues(entries, report.Config)
}

func (s *verifySuite) TestConfigEntries() {
	for name, c := range map[string]struct{ damage, key string }{
		"no JSON":       {"UPDATE config SET value = 'secret words' WHERE key = 'greeting'", "greeting"},
		"empty":         {"UPDATE config SET value = '' WHERE key = 'greeting'", "greeting"},
		"two values":    {"UPDATE config SET value = '1 2' WHERE key = 'greeting'", "greeting"},
		"invalid UTF-8": {"UPDATE config SET value = CAST(x'22ff22' AS TEXT) WHERE key = 'greeting'", "greeting"},
		"NUL":           {"UPDATE config SET value = CAST(x'310032' AS TEXT) WHERE key = 'greeting'", "greeting"},
		"no time":       {"UPDATE config SET updated_at = 'yesterday' WHERE key = 'greeting'", "greeting"},
		"key not UTF-8": {"INSERT INTO config (key, value, updated_at) VALUES (CAST(x'ff' AS TEXT), '1', '2026-01-01T00:00:00Z')", "\xff"},
		"revision":      {"UPDATE config SET revision = revision + 1 WHERE key = 'greeting'", "greeting"},
		"revision 0":    {"UPDATE config SET revision = 0 WHERE key = 'greeting'", "greeting"},
		"future":        {"UPDATE config SET revision = 1000 WHERE key = 'greeting'", "greeting"},
		"a module's":    {"UPDATE config SET revision = 1 WHERE key = 'greeting'", "greeting"},
	} {
		s.Run(name, func() { s.requireFound(registry.SubjectConfig, c.key, c.damage) })
	}
}

func (s *verifySuite) TestModules() {
	for name, c := range map[string]struct{ damage, key string }{
		"unknown kind":     {"UPDATE modules SET kind = '\"java\"' WHERE id = 'echo'", "echo"},
		"unknown state":    {"UPDATE modules SET state = '\"asleep\"' WHERE id = 'echo'", "echo"},
		"no time":          {"UPDATE modules SET updated_at = '' WHERE id = 'echo'", "echo"},
		"id not UTF-8":     {`INSERT INTO modules VALUES (CAST(x'ff' AS TEXT), 'n', 'v', '"wasm"', '"loaded"', NULL, '2026-01-01T00:00:00Z', 0)`, "\xff"},
		"revision":         {"UPDATE modules SET revision = revision + 1 WHERE id = 'echo'", "echo"},
		"revision 0":       {"UPDATE modules SET revision = 0 WHERE id = 'echo'", "echo"},
		"a config entry's": {"UPDATE modules SET revision = 4 WHERE id = 'echo'", "echo"},
	} {
		s.Run(name, func() { s.requireFound(registry.SubjectModule, c.key, c.damage) })
	}
}

func (s *verifySuite) TestTheDatabase() {
	for name, damage := range map[string][]string{
		"a hole in the change log":     {"UPDATE modules SET name = 'x' WHERE id = 'oxide-mirror'", "DELETE FROM changes WHERE revision = 2"},
		"a dropped trigger":            {"DROP TRIGGER config_delete"},
		"a foreign trigger":            {"CREATE TRIGGER stranger AFTER INSERT ON config BEGIN SELECT 1; END"},
		"a unique index":               {"CREATE UNIQUE INDEX stranger ON config (value)"},
		"a new column":                 {"ALTER TABLE config ADD COLUMN owner TEXT"},
		"a subsystem's lost reference": {"INSERT INTO notes (module) VALUES ('none')"},
		"a lost module":                {"INSERT INTO notes (module) VALUES ('echo')", "DELETE FROM modules WHERE id = 'echo'"},
		"no row in registry":           {"DELETE FROM registry"},
	} {
		s.Run(name, func() { s.requireFound("database", "", damage...) })
	}
}

// One kind of damage does not hide another.
func (s *verifySuite) TestAllProblemsAreReported() {
	path := s.create("x.db")
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	defer reg.Close()
	s.damage(path, []string{"UPDATE config SET value = 'no JSON'", "UPDATE modules SET kind = 'java', updated_at = 'never'",
		"DELETE FROM changes WHERE revision = 2", "DROP TRIGGER modules_update"})
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	found := map[string]bool{}
	for _, problem := range report.Problems {
		found[problem.Subject+" "+problem.Key] = true
	}
	s.Require().Equal(map[string]bool{
		"database ": true, "config api/endpoint": true, "config greeting": true, "config max_threads": true,
		"module echo": true, "module oxide-mirror": true,
	}, found)
}

// A keyset's row that cannot even be read is one finding among others.
func (s *verifySuite) TestADamagedKeysetHidesNothing() {
	if !s.mode.encrypted() {
		s.T().Skip("there is no keyset")
	}
	path := s.create("x.db")
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	defer reg.Close()
	raw := sqliteOpen(s.T(), path)
	raw.SetMaxOpenConns(1)
	for _, statement := range []string{
		"PRAGMA ignore_check_constraints = ON", "DROP TRIGGER keyset_update", "DROP TRIGGER modules_update",
		"UPDATE keyset SET generation = 'seven'",
	} {
		_, err := raw.ExecContext(s.T().Context(), statement)
		s.Require().NoError(err)
	}
	s.Require().NoError(raw.Close())
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	text := fmt.Sprint(report.Problems)
	for _, found := range []string{"the keyset cannot be read", "keyset_update", "modules_update"} {
		s.Require().Contains(text, found)
	}
	s.Require().EqualValues(2, report.Modules)
	s.Require().EqualValues(3, report.Config)
	s.Require().EqualValues(5, report.Changes)
}

// A value may be a secret; a report goes into logs.
func (s *verifySuite) TestNoReportHoldsAValue() {
	path := s.create("x.db")
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	defer reg.Close()
	s.damage(path, []string{"UPDATE config SET value = 'hunter2' WHERE key = 'greeting'",
		"UPDATE config SET value = '{\"password\": \"hunter2' WHERE key = 'max_threads'"})
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	s.Require().Len(report.Problems, 2)
	s.Require().NotContains(fmt.Sprintf("%v %+v %#v", err, report, report), "hunter2")
}

// A key that is no text sorts after all text and equals none: no reader finds it. Where a full page of entries ended in
// one, Verify went on for ever.
func (s *verifySuite) TestKeysAndValuesThatAreNoText() {
	const row = "INSERT INTO config (key, value, updated_at) VALUES (%s, %s, '2026-01-01T00:00:00Z')"
	s.Run("key", func() { s.requireFound(registry.SubjectConfig, "a", fmt.Sprintf(row, "x'61'", "'1'")) })
	s.Run("value", func() { s.requireFound(registry.SubjectConfig, "a", fmt.Sprintf(row, "'a'", "x'31'")) })
	s.Run("id", func() {
		s.requireFound(registry.SubjectModule, "a",
			`INSERT INTO modules VALUES (x'61', 'n', 'v', '"wasm"', '"loaded"', NULL, '2026-01-01T00:00:00Z', 0)`)
	})
	for _, texts := range []int{0, 124, 125, 126, 252, 253, 254, 600} { // with the three entries that there are: a page has 128
		if s.mode.origin && texts != 253 {
			continue
		}
		for _, blobs := range []int{1, 128, 256, 600} {
			s.Run(fmt.Sprintf("%d beside %d", blobs, texts), func() {
				reg, err := s.tryOpen(s.create("x.db"))
				s.Require().NoError(err)
				defer reg.Close()
				s.Require().NoError(reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
					for i := range texts {
						if _, err := tx.SetConfig(ctx, fmt.Sprintf("b%05d", i), i); err != nil {
							return err
						}
					}
					return nil
				}))
				s.damage(s.file("x.db"), []string{fmt.Sprintf(`INSERT INTO config (key, value, updated_at)
					WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
					SELECT CAST(printf('c%%05d', i) AS BLOB), '1', '2026-01-01T00:00:00Z' FROM n`, blobs)})
				report, err := reg.Verify(s.T().Context())
				s.Require().ErrorIs(err, registry.ErrCorrupt)
				found := map[string]bool{}
				for _, problem := range report.Problems { // in an encrypted registry the value is one too
					s.Require().True(strings.HasPrefix(problem.Key, "c"), "%s", problem)
					found[problem.Key] = true
				}
				s.Require().Len(found, blobs)
			})
		}
	}
}

func (s *verifySuite) TestAContextThatEndedStopsIt() {
	reg := s.open(s.create("x.db"))
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	_, err := reg.Verify(ctx)
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().NotErrorIs(err, registry.ErrCorrupt)
}

func (s *verifySuite) TestItNeedsTheMemoryOfAValueNotOfAPageOfThem() {
	const values, size = 64, 1 << 20
	reg, err := s.tryOpen(s.file("large.db"))
	s.Require().NoError(err)
	defer reg.Close()
	for i := range values {
		_, err := reg.SetConfig(s.T().Context(), fmt.Sprint("large/", i), strings.Repeat("x", size))
		s.Require().NoError(err)
	}
	alive := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := alive()
	done, peaked := make(chan struct{}), make(chan uint64)
	go func() {
		for peak := uint64(0); ; peak = max(peak, alive()) {
			select {
			case <-done:
				peaked <- peak
				return
			default:
			}
		}
	}()
	report, err := reg.Verify(s.T().Context())
	close(done)
	peak := <-peaked
	s.Require().NoError(err, "%v", report.Problems)
	s.Require().EqualValues(values, report.Config)
	s.Require().Less(peak, before+values*size/2)
}
