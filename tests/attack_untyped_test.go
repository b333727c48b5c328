package tests

import (
	"context"

	"github.com/oxide-k/stateregistry/registry"
)

// Rows whose key or value is no text, which the guards keep out: SQLite compares them with nothing, so that a statement
// which looks for them by their text passes them by.
var untypedRows = map[string]string{
	"a value that is a blob":        "UPDATE config SET value = CAST(value AS BLOB) WHERE key = 'm/victim'",
	"a key that is a blob":          "UPDATE config SET key = CAST(key AS BLOB) WHERE key = 'm/victim'",
	"a key that is a blob, at last": "UPDATE config SET key = x'7a7a7a' WHERE key = 'm/victim'",
}

// untyped puts such a row into a file.
func (s *attackSuite) untyped(path, statement string) {
	s.T().Helper()
	raw := s.raw(path)
	restoreValues, restoreIdentity := s.lift(raw, silentValueGuards), s.lift(raw, identityGuards)
	s.exec(raw, statement)
	restoreIdentity()
	restoreValues()
	s.Require().NoError(raw.Close())
}

// Encrypt must not leave such a row in plaintext, nor Decrypt one that nobody can open any more: they say so, and change
// nothing.
func (s *attackSuite) TestARowOfAnotherTypeIsNotPassedByWhenAFileIsTurned() {
	ctx := s.T().Context()
	for name, statement := range untypedRows {
		s.Run("encrypt, "+name, func() {
			path := s.plain("x.db")
			s.untyped(path, statement)
			before := s.content(path)
			report, err := registry.Encrypt(ctx, path, rawKEK32())
			s.refuses(err, registry.ErrDecode)
			s.Require().Zero(report)
			s.Require().Equal(before, s.content(path))
		})
		s.Run("decrypt, "+name, func() {
			path := s.create("x.db", rawKEK32())
			s.untyped(path, statement)
			before := s.content(path)
			err := registry.Decrypt(ctx, path, rawKEK32())
			s.refuses(err)
			s.Require().True(isOneOf(err, registry.ErrDecode, registry.ErrTampered), "%v", err)
			s.Require().Equal(before, s.content(path))
		})
	}
}

// A rotation ends, and where such a row keeps an old key alive it says so.
func (s *attackSuite) TestARowOfAnotherTypeIsNotPassedByByARotation() {
	for name, statement := range untypedRows {
		s.Run(name, func() {
			path := s.create("x.db", rawKEK32())
			s.untyped(path, statement)
			reg := s.open(path, rawKEK32())
			ctx, cancel := context.WithTimeout(s.T().Context(), patience)
			defer cancel()
			report, err := reg.RotateKeyset(ctx)
			s.Require().Len(report.Kept, 1)
			s.refuses(err, registry.ErrTampered)
			s.neighboursRead(reg)
			_, err = reg.Verify(ctx)
			s.refuses(err, registry.ErrCorrupt)
		})
	}
}

// Such a value can be overwritten and deleted as any other.
func (s *attackSuite) TestAValueOfAnotherTypeHeals() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	s.untyped(path, untypedRows["a value that is a blob"])
	if value, err := registry.Get[string](s.T().Context(), reg, victim); err != nil {
		s.refuses(err, registry.ErrTampered)
	} else {
		s.Require().Equal(canary, value)
	}
	s.neighboursRead(reg)
	s.heals(reg, victim)
}
