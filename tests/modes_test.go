package tests

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

// mode is one way to store a registry. Another way to store them joins by adding a value to modes.
type mode struct {
	name   string
	memory bool // no file: nothing to reopen, no snapshots, no second process
	open   func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error)
}

var modes = []mode{
	{name: "plaintext", open: registry.Open},
	{name: "plaintext-memory", memory: true, open: registry.Open},
}

// path is a place for a new registry of this mode.
func (m mode) path(t testing.TB) string {
	if m.memory {
		return registry.InMemory
	}
	return filepath.Join(t.TempDir(), "registry.db")
}

// modeSuite is what the suites embed: a new registry for each test, which is verified and closed at its end.
type modeSuite struct {
	suite.Suite
	mode mode
	path string
	reg  *registry.Registry
}

func (s *modeSuite) setMode(m mode) { s.mode = m }

// SetupTest opens a new registry.
func (s *modeSuite) SetupTest() {
	s.path = s.mode.path(s.T())
	s.reg = s.open()
}

// TearDownTest verifies the test's registry and closes it.
func (s *modeSuite) TearDownTest() {
	if s.reg == nil {
		return
	}
	report, err := s.reg.Verify(s.T().Context())
	s.Require().NoError(err, "%v", report.Problems)
	s.Require().NoError(s.reg.Close())
}

// open opens the test's path once more, as this mode does.
func (s *modeSuite) open(opts ...registry.Option) *registry.Registry {
	reg, err := s.mode.open(s.T().Context(), s.path, opts...)
	s.Require().NoError(err)
	return reg
}

// reopen closes the test's registry and opens it again with other options. In memory it stays as it is.
func (s *modeSuite) reopen(opts ...registry.Option) {
	if s.mode.memory {
		return
	}
	s.Require().NoError(s.reg.Close())
	s.reg = s.open(opts...)
}

// runInModes runs a suite once in each mode. newSuite makes a fresh one.
func runInModes[S interface {
	suite.TestingSuite
	setMode(mode)
}](t *testing.T, newSuite func() S) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s := newSuite()
			s.setMode(m)
			suite.Run(t, s)
		})
	}
}
