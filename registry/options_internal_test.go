package registry

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// failure is the message of an assertion that failed.
type failure string

func (f *failure) Errorf(format string, args ...any) { *f += failure(fmt.Sprintf(format, args...)) }

func TestPrintingOptionsShowsNoOxideKey(t *testing.T) {
	given := []Option{WithOxideKey("s3cret-one"), WithOxideKey(""), WithOxideKey("s3cret-two")}
	o, err := newOptions(given)
	require.NoError(t, err)
	require.Equal(t, []string{"s3cret-one", "", "s3cret-two"}, o.oxideKeys())
	require.Equal(t, []string{"s3cret-one", "", "s3cret-two"}, o.oxideKeys(), "asking changes nothing")
	for _, printed := range []any{given, o, &o, struct{ o options }{o}, &Registry{opts: o}} {
		var message failure
		assert.Equal(&message, nil, printed) // which prints what is behind pointers and in fields that are not exported
		require.NotEmpty(t, message)
		text := string(message) + fmt.Sprintf("%v %+v %#v", printed, printed, printed)
		require.NotContains(t, text, "s3cret")
		require.NotContains(t, text, fmt.Sprintf("%x", "s3cret"))
	}
}
