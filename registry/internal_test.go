package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

func TestErrorsOfTheLowerLayersHaveTheirSentinel(t *testing.T) {
	code := func(code sqlite3.ErrNo) error { return sqlite3.Error{Code: code} }
	for _, c := range []struct{ err, sentinel error }{
		{migrate.ErrNotRegistry, ErrNotRegistry},
		{code(sqlite3.ErrNotADB), ErrNotRegistry},
		{migrate.ErrCorrupt, ErrCorrupt},
		{code(sqlite3.ErrCorrupt), ErrCorrupt},
		{migrate.ErrNewer, ErrNewerSchema},
		{migrate.ErrChanged, ErrMigrationChanged},
		{migrate.ErrSet, ErrInvalid},
		{code(sqlite3.ErrTooBig), ErrInvalid},
		{sqlite.ErrCommitUnknown, ErrCommitUnknown},
		{sqlite.ErrGone, ErrTxDone},
		{sqlite3.Error{Code: sqlite3.ErrConstraint, ExtendedCode: sqlite3.ErrConstraintCommitHook}, ErrTxDone},
		{commit.ErrClosed, ErrClosed},
		{sql.ErrConnDone, ErrClosed},
		{commit.ErrTimeout, ErrBusy},
		{code(sqlite3.ErrBusy), ErrBusy},
		{code(sqlite3.ErrReadonly), ErrReadOnly},
	} {
		err := failed("test", "key", fmt.Errorf("wrapped: %w", c.err))
		require.ErrorIs(t, err, c.sentinel)
		require.ErrorIs(t, err, c.err, "the cause stays reachable")
		var own *Error
		require.ErrorAs(t, err, &own)
		require.Equal(t, "test", own.Op)
		require.Equal(t, "key", own.Key)
		require.Same(t, err, failed("outer", "", err), "an *Error stays the one it is")
		require.Equal(t, c.sentinel, classify(c.sentinel), "a sentinel is not put before itself")
	}
	other := errors.New("other")
	require.Equal(t, other, classify(other))
	require.NoError(t, failed("test", "key", nil))
}

func TestAnEndedContextIsTheReason(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	interrupted := sqlite3.Error{Code: sqlite3.ErrInterrupt}
	require.NoError(t, ended(ctx, nil))
	require.Equal(t, error(interrupted), ended(ctx, interrupted))
	cancel()
	require.NoError(t, ended(ctx, nil), "what succeeded has succeeded")
	require.ErrorIs(t, ended(ctx, interrupted), context.Canceled)
	require.ErrorIs(t, ended(ctx, interrupted), interrupted)
	require.Equal(t, context.Canceled, ended(ctx, context.Canceled))
}

func TestOnlyAConflictNamesARevision(t *testing.T) {
	require.Contains(t, (&Error{Op: "set config", Key: "a", Revision: 7, Err: ErrConflict}).Error(), "7")
	require.NotContains(t, (&Error{Op: "set config", Revision: 7, Err: ErrBusy}).Error(), "7")
}

func TestJSONKindsCarryNoLiteral(t *testing.T) {
	for met, want := range map[string]string{
		"number 123": "number", "number": "number", "string": "string", "array": "array", "": "value", "s3cret": "value",
	} {
		require.Equal(t, want, jsonKind(met))
	}
	var n int8
	err := decode("1234567", &n)
	require.ErrorIs(t, err, ErrDecode)
	require.NotContains(t, err.Error(), "1234567")
}

func TestTheReplacementCharacterIsToldFromABadByte(t *testing.T) {
	for text, bad := range map[string]bool{
		"a\ufffdb": false, `a\ufffdb`: false, `\\ufffd`: false, `\`: false, "": false, "\xff": true, "a\xffb": true,
		"\\\xff": true, "\\\\\xff": true, `\ufffd` + "\xff": true, "\xed\xa0\x80": true,
	} {
		_, err := encode(text, 1<<10)
		require.Equal(t, bad, errors.Is(err, ErrEncode), "%q: %v", text, err)
		_, err = encode(map[string]any{text: []string{text}}, 1<<10)
		require.Equal(t, bad, errors.Is(err, ErrEncode), "%q, in a map: %v", text, err)
	}
	for text, bad := range map[string]bool{
		`"\ufffd"`: true, `"\\ufffd"`: false, `"\\\ufffd"`: true, `"\\\\ufffd"`: false, `"\\ufffd\ufffd"`: true,
		"\"\ufffd\"": false, `""`: false,
	} {
		require.True(t, json.Valid([]byte(text)))
		require.Equal(t, bad, hasEscapedReplacement([]byte(text)), text)
		stored, err := encode(map[string]any{"good": "x", "raw": json.RawMessage(text)}, 1<<10)
		require.NoError(t, err, "it came as JSON")
		require.Contains(t, stored, text)
		_, err = encode(struct {
			Raw json.RawMessage
			Bad []any
		}{json.RawMessage(text), []any{1, map[string]string{"k": "\xff"}}}, 1<<10)
		require.ErrorIs(t, err, ErrEncode)
	}
}
