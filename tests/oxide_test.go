package tests

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

func TestOxideK(t *testing.T) { suite.Run(t, &oxideSuite{}) }

// oxideSuite is about databases of oxide-k's: what its kernel wrote is read, and a kernel may go on writing. The files
// are a mode of their own, so this suite runs once.
type oxideSuite struct{ oxideFixture }

// oxideFixture is what the suites embed that start from oxide-k's databases.
type oxideFixture struct {
	rowSuite
	expected expectation
}

// expectation is expected.json.
type expectation struct {
	Modules []struct {
		ID, Name, Version, Kind, State string
		Description                    *string
		UpdatedAt                      string
	}
	Config          map[string]json.RawMessage
	ConfigUpdatedAt time.Time `json:"config_updated_at"`
}

// oxideRows is how many rows plain.db holds.
const oxideRows = 19

func (s *oxideFixture) SetupTest() {
	s.mode = mode{name: "oxide-k", open: registry.Open}
	text, err := os.ReadFile("testdata/oxide-k/expected.json")
	s.Require().NoError(err)
	s.Require().NoError(json.Unmarshal(text, &s.expected))
	s.path = s.copyOfPlain()
	s.reg = s.open(registry.WithMustExist())
}

func (s *oxideFixture) copyOfPlain() string {
	data, err := os.ReadFile("testdata/oxide-k/plain.db")
	s.Require().NoError(err)
	path := filepath.Join(s.T().TempDir(), "oxide.db")
	s.Require().NoError(os.WriteFile(path, data, 0o600))
	return path
}

// readsAsExpected checks every row of plain.db.
func (s *oxideFixture) readsAsExpected(reg *registry.Registry) {
	ctx := s.T().Context()
	modules, err := reg.ListModules(ctx)
	s.Require().NoError(err)
	s.Require().Len(modules, len(s.expected.Modules))
	for _, want := range s.expected.Modules {
		got, err := reg.GetModule(ctx, want.ID)
		s.Require().NoError(err)
		at, err := time.Parse(time.RFC3339Nano, want.UpdatedAt)
		s.Require().NoError(err)
		s.Require().Equal(registry.ModuleMetadata{
			ID: want.ID, Name: want.Name, Version: want.Version, Description: want.Description,
			Kind: registry.ModuleKind(strings.Trim(want.Kind, `"`)),
		}, got.ModuleMetadata)
		s.Require().Equal(registry.ModuleState(strings.Trim(want.State, `"`)), got.State)
		s.Require().Equal(at.UTC(), got.UpdatedAt)
		s.Require().Contains(modules, got)
	}

	entries, err := reg.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Len(entries, len(s.expected.Config))
	for _, entry := range entries {
		var got json.RawMessage
		s.Require().NoError(entry.Decode(&got))
		s.Require().Equal(s.exact(s.expected.Config[entry.Key]), s.exact(got), entry.Key)
		s.Require().Equal(s.expected.ConfigUpdatedAt.UTC(), entry.UpdatedAt)
	}
}

// exact is JSON with its numbers as they are written.
func (s *oxideFixture) exact(text json.RawMessage) (value any) {
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber()
	s.Require().NoError(dec.Decode(&value))
	return value
}

func (s *oxideSuite) TestEveryRowIsRead() {
	s.readsAsExpected(s.reg)
	ctx := s.T().Context()
	most, err := registry.Get[uint64](ctx, s.reg, "limits.max_u64")
	s.Require().NoError(err)
	s.Require().EqualValues(uint64(18446744073709551615), most)
	least, err := registry.Get[int64](ctx, s.reg, "limits.min_i64")
	s.Require().NoError(err)
	s.Require().Equal(int64(-9223372036854775808), least)
	unset, found, err := registry.TryGet[*string](ctx, s.reg, "unset")
	s.Require().NoError(err)
	s.Require().True(found)
	s.Require().Nil(unset)
	s.reopen()
	s.readsAsExpected(s.reg)
}

func (s *oxideSuite) TestRowsThatWereThereAreNumberedAndWritesGoOnFromThere() {
	found := s.rows(s.reg)
	s.Require().Len(found.held, oxideRows)
	var revisions []int64
	for _, held := range found.held {
		revisions = append(revisions, held.revision)
	}
	slices.Sort(revisions)
	for i, revision := range revisions {
		s.Require().EqualValues(i+1, revision)
	}
	s.Require().Len(found.log, oxideRows)

	at := found.held[row{"config", "max_threads"}].revision
	revision, err := s.reg.SetConfig(s.T().Context(), "max_threads", 32, registry.IfRevision(at))
	s.Require().NoError(err)
	s.Require().EqualValues(oxideRows+1, revision)
}

func (s *oxideSuite) TestFurtherTablesAreLeftAlone() {
	s.Require().NoError(s.reg.Close())
	s.path = s.copyOfPlain()
	_, err := s.kernel().Exec(`CREATE TABLE memories (id INTEGER PRIMARY KEY, text TEXT, module TEXT REFERENCES modules (id));
		CREATE INDEX memories_text ON memories (text);
		CREATE VIEW running AS SELECT id FROM modules WHERE state = '"running"';
		CREATE TRIGGER memories_upper AFTER INSERT ON memories BEGIN UPDATE memories SET text = upper(text) WHERE id = NEW.id; END;
		INSERT INTO memories (text, module) VALUES ('the first', 'echo')`)
	s.Require().NoError(err)
	s.reg = s.open()
	s.readsAsExpected(s.reg)
	s.Require().NoError(s.exec(s.reg, `INSERT INTO memories (text, module) VALUES ('the second', 'llm')`))
	s.Require().Equal("THE FIRST,THE SECOND",
		s.text(s.reg, "SELECT group_concat(text, ',') FROM (SELECT text FROM memories ORDER BY id)"))
	s.Require().Equal("oxide-mirror", s.text(s.reg, "SELECT id FROM running"))
}

// oxide-k makes its tables one by one: a first start that was interrupted leaves the first alone.
func (s *oxideSuite) TestInterruptedFirstStartIsCompleted() {
	s.Require().NoError(s.reg.Close())
	s.path = filepath.Join(s.T().TempDir(), "first.db")
	k := s.kernel()
	_, err := k.Exec(`CREATE TABLE IF NOT EXISTS modules (
		id TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,
		description TEXT, updated_at TEXT NOT NULL)`)
	s.Require().NoError(err)
	s.Require().NoError(k.upsertModule("early", "Early", `"loaded"`))
	s.reg = s.open(registry.WithMustExist())
	err = s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		m, err := tx.GetModule(ctx, "early")
		s.Require().EqualValues(1, m.Revision)
		return err
	})
	s.Require().NoError(err)
	s.Require().NoError(k.setConfig("late", "1"))
	late, err := registry.Get[int](s.T().Context(), s.reg, "late")
	s.Require().NoError(err)
	s.Require().Equal(1, late)
}
