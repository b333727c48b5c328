package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/dbfile"
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
		{dbfile.ErrTorn, ErrCorrupt},
		{dbfile.ErrReplaced, ErrReplaced},
		{dbfile.ErrUnfit, ErrInvalid},
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

func TestAConflictSaysWhatIsThere(t *testing.T) {
	for c, want := range map[[2]int64]string{
		{7, 5}: "it is at revision 5, wanted 7", {7, 0}: "there is no such row, wanted revision 7", {0, 5}: "it exists, at revision 5",
	} {
		err := condition{set: true, revision: c[0]}.check("set config", "a", c[1])
		require.ErrorIs(t, err, ErrConflict)
		require.ErrorContains(t, err, want)
		conflict, ok := errors.AsType[*Error](err)
		require.True(t, ok)
		require.Equal(t, c[1], conflict.Revision)
		require.NoError(t, condition{set: true, revision: c[0]}.check("set config", "a", c[0]))
	}
	require.NoError(t, condition{}.check("set config", "a", 5))
}

func TestPrintingAnEntryDoesNotShowItsValue(t *testing.T) {
	secret := &storedValue{text: "s3cret"}
	entry := ConfigEntry{Key: "token", Revision: 3, value: &secret}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
		for _, printed := range []any{
			entry, &entry, struct{ e ConfigEntry }{entry}, &struct{ e *ConfigEntry }{&entry}, []ConfigEntry{entry},
			map[string]any{"e": &entry}, struct{ E any }{[]*ConfigEntry{&entry}},
		} {
			text := fmt.Sprintf(verb, printed)
			require.NotContains(t, text, "s3cret")
			require.NotContains(t, text, fmt.Sprintf("%x", "s3cret"))
		}
	}
	for _, text := range []string{
		fmt.Sprintf("%v %+v %#v %s", entry, entry, entry, entry),
		fmt.Sprintf("%v %+v %#v", &entry, []ConfigEntry{entry}, []*ConfigEntry{&entry}[0]),
		fmt.Sprint(struct{ e ConfigEntry }{entry}, entry.Key) + fmt.Sprintf("%+v %#v", struct{ e ConfigEntry }{entry},
			struct{ e ConfigEntry }{entry}),
		fmt.Sprintf("%v %+v %#v", map[string]any{"e": entry}, struct{ E ConfigEntry }{entry}, []ConfigEntry{entry}),
	} {
		require.NotContains(t, text, "s3cret")
		require.Contains(t, text, "token")
	}
}
