package decisionlog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/examples/decisionlog"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/registry/registrytest"
)

// mirror is a module that decides.
var mirror = registry.ModuleMetadata{ID: "oxide-mirror", Name: "Oxide Mirror", Version: "0.3.0", Kind: registry.KindNative}

// noon is when the tests' decisions are made, unless they say otherwise.
var noon = time.Date(2026, 3, 14, 12, 0, 0, 123456789, time.UTC)

func TestDecisionLog(t *testing.T) {
	inModes(t, func(open opener) suite.TestingSuite { return &decisionSuite{logSuite{open: open}} })
}

func TestSchema(t *testing.T) {
	inModes(t, func(open opener) suite.TestingSuite { return &schemaSuite{logSuite{open: open}} })
}

// inModes runs a suite with plaintext registries and with encrypted ones.
func inModes(t *testing.T, newSuite func(opener) suite.TestingSuite) {
	t.Run("plaintext", func(t *testing.T) { suite.Run(t, newSuite(registrytest.Open)) })
	t.Run("encrypted", func(t *testing.T) { suite.Run(t, newSuite(registrytest.OpenEncrypted)) })
}

type opener func(testing.TB, ...registry.Option) *registry.Registry

// logSuite has a new registry for each test, with the log's table and one module. registrytest verifies and closes it.
type logSuite struct {
	suite.Suite
	open opener
	reg  *registry.Registry
}

func (s *logSuite) SetupTest() {
	s.reg = s.open(s.T(), withDecisions())
	_, err := s.reg.UpsertModule(s.T().Context(), mirror, registry.StateRunning)
	s.Require().NoError(err)
}

func withDecisions() registry.Option {
	return registry.WithMigrations(decisionlog.Set, decisionlog.Migrations)
}

// update runs f in an Update and returns what that returned.
func (s *logSuite) update(f func(ctx context.Context, tx *registry.Tx) error) error {
	return s.reg.Update(s.T().Context(), f)
}

// exec runs a statement in an Update of its own.
func (s *logSuite) exec(statement string, args ...any) error {
	return s.update(func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.ExecContext(ctx, statement, args...)
		return err
	})
}

// tryLog logs a decision in an Update of its own.
func (s *logSuite) tryLog(d decisionlog.Decision) (logged decisionlog.Decision, err error) {
	err = s.update(func(ctx context.Context, tx *registry.Tx) (err error) {
		logged, err = decisionlog.Log(ctx, tx, d)
		return err
	})
	return logged, err
}

// log is tryLog for a decision that is fine.
func (s *logSuite) log(d decisionlog.Decision) decisionlog.Decision {
	logged, err := s.tryLog(d)
	s.Require().NoError(err)
	return logged
}

// fill logs n decisions of the module's at the same moment, id(0) first.
func (s *logSuite) fill(n int) (logged []decisionlog.Decision) {
	for i := range n {
		d := valid()
		d.ID = id(i)
		logged = append(logged, s.log(d))
	}
	return logged
}

// recent returns the newest decisions.
func (s *logSuite) recent() []decisionlog.Decision {
	list, err := decisionlog.Recent(s.T().Context(), s.reg.ReadDB(), 100)
	s.Require().NoError(err)
	return list
}

func (s *logSuite) revision() int64 {
	revision, err := s.reg.Revision(s.T().Context())
	s.Require().NoError(err)
	return revision
}

// id returns the n-th of the IDs that tests use.
func id(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// valid returns a decision that can be logged, in the form in which it is stored.
func valid() decisionlog.Decision {
	return decisionlog.Decision{
		ID: id(1), At: noon, Actor: mirror.ID, Action: "restart", Rationale: "it missed three heartbeats",
		Inputs: json.RawMessage(`{"missed":3}`), Output: json.RawMessage(`["stopped","started"]`), Confidence: 0.75,
	}
}
