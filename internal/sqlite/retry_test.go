package sqlite

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/require"
)

var errBusy = fmt.Errorf("wrapped: %w", sqlite3.Error{Code: sqlite3.ErrBusy})

func TestRetryTriesUntilItIsNotBusy(t *testing.T) {
	for _, last := range []error{nil, errors.New("another")} {
		tries := 0
		err := Wait{Limit: time.Minute}.Retry(t.Context(), func() error {
			if tries++; tries < 5 {
				return errBusy
			}
			return last
		})
		require.Equal(t, last, err)
		require.Equal(t, 5, tries)
	}
}

func TestRetryEndsAtTheLimit(t *testing.T) {
	const limit = 30 * time.Millisecond
	started := time.Now()
	err := Wait{Limit: limit}.Retry(t.Context(), func() error { return errBusy })
	require.True(t, IsBusy(err), "%v", err)
	require.GreaterOrEqual(t, time.Since(started), limit)
}

func TestAWaitThatStartedGoesOn(t *testing.T) {
	w := Wait{Limit: time.Hour, Eager: true}
	require.Equal(t, time.Hour, w.Left(), "it has not started")
	require.Equal(t, w, w.Stop())
	w = w.Start()
	for left := w.Left(); w.Left() == left; {
		runtime.Gosched()
	}
	require.Equal(t, w, w.Start(), "it has")
	rest := w.Stop()
	require.Less(t, rest.Limit, time.Hour)
	require.Positive(t, rest.Limit)
	require.Equal(t, rest.Limit, rest.Left(), "what is done now does not count")
	require.True(t, rest.Eager)

	tries := 0
	require.True(t, IsBusy(spent().Retry(t.Context(), func() error { tries++; return errBusy })))
	require.Equal(t, 1, tries)
	require.NoError(t, spent().Retry(t.Context(), func() error { return nil }))
	require.Zero(t, spent().Left())
	require.Zero(t, spent().Stop())
}

func TestAContextsWaitComesFirst(t *testing.T) {
	own := Wait{Limit: time.Hour, Eager: true}
	require.Equal(t, own, own.In(t.Context()))
	theirs := Wait{Limit: time.Minute}.Start()
	got := own.In(WithWait(t.Context(), theirs))
	require.True(t, got.Eager)
	got.Eager = false
	require.Equal(t, theirs, got)
}

// spent returns a Wait whose limit has passed.
func spent() Wait {
	w := Wait{Limit: 1}.Start()
	for w.Left() > 0 {
		runtime.Gosched()
	}
	return w
}

func TestRetryTriesAtLeastOnceWithoutALimit(t *testing.T) {
	tries := 0
	require.NoError(t, Wait{}.Retry(t.Context(), func() error { tries++; return nil }))
	require.Equal(t, 1, tries)
	require.True(t, IsBusy(Wait{}.Retry(t.Context(), func() error { tries++; return errBusy })))
	require.Equal(t, 2, tries)
}

func TestRetryEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := Wait{Limit: time.Minute}.Retry(ctx, func() error {
		if tries++; tries == 3 {
			cancel()
		}
		return errBusy
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 3, tries)
	require.ErrorIs(t, Wait{}.Retry(ctx, func() error { tries++; return nil }), context.Canceled)
	require.Equal(t, 3, tries, "a context that has ended tries nothing")
}

func TestAContextThatEndsCutsAPauseShort(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Wait{}.pause(ctx), context.Canceled)
}

func TestCodes(t *testing.T) {
	for name, c := range map[string]struct {
		is   func(error) bool
		code sqlite3.ErrNo
	}{
		"busy":         {IsBusy, sqlite3.ErrBusy},
		"locked":       {IsBusy, sqlite3.ErrLocked},
		"not a db":     {IsNotDatabase, sqlite3.ErrNotADB},
		"corrupt":      {IsCorrupt, sqlite3.ErrCorrupt},
		"read-only":    {IsReadOnly, sqlite3.ErrReadonly},
		"too big":      {IsTooBig, sqlite3.ErrTooBig},
		"unauthorized": {IsNotAuthorized, sqlite3.ErrAuth},
		"input output": {isInputOutput, sqlite3.ErrIoErr},
	} {
		err := sqlite3.Error{Code: c.code, ExtendedCode: c.code.Extend(3)}
		require.True(t, c.is(err), name)
		require.True(t, c.is(fmt.Errorf("wrapped: %w", errors.Join(errors.New("other"), err))), name)
		require.False(t, c.is(sqlite3.Error{Code: sqlite3.ErrMisuse}), name)
		require.False(t, c.is(errors.New("busy, locked, corrupt")), name)
		require.False(t, c.is(nil), name)
	}
}

func TestExtendedCodes(t *testing.T) {
	extended := func(e sqlite3.ErrNoExtended) error {
		return fmt.Errorf("wrapped: %w", sqlite3.Error{Code: sqlite3.ErrNo(e & 0xff), ExtendedCode: e})
	}
	require.True(t, needsRecovery(extended(sqlite3.ErrReadonlyRecovery)))
	require.True(t, needsRecovery(extended(sqlite3.ErrReadonlyRollback)))
	require.True(t, needsRecovery(extended(sqlite3.ErrReadonly.Extend(5))))
	require.False(t, needsRecovery(extended(sqlite3.ErrReadonlyDbMoved)))
	require.False(t, needsRecovery(errors.New("read-only")))
	require.True(t, IsRefusedCommit(extended(sqlite3.ErrConstraintCommitHook)))
	require.False(t, IsRefusedCommit(extended(sqlite3.ErrConstraintUnique)))
	require.False(t, IsRefusedCommit(errors.New("constraint")))
}

func TestOldLibrariesAreRefused(t *testing.T) {
	require.NoError(t, CheckLibrary())
	require.NoError(t, checkLibrary("3.51.3", 3_051_003))
	require.NoError(t, checkLibrary("4.0.0", 4_000_000))
	require.ErrorIs(t, checkLibrary("3.51.2", 3_051_002), ErrOldLibrary)
	require.ErrorIs(t, checkLibrary("3.45.0", 3_045_000), ErrOldLibrary)
}
