//go:build goexperiment.jsonv2

package jsonvalue

import (
	"encoding/json"
	"encoding/json/jsontext"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzCheckAsStrict compares with an implementation that is strict by itself.
func FuzzCheckAsStrict(f *testing.F) {
	for _, text := range []string{`{"a":1,"\u0061":"\ud800"}`, `["\ud83d\udd11",{"a":{},"b":{"a":1}}]`, "{\"\xff\":1}", `{"b":1,"a":1,"b":1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if json.Valid(text) {
			require.Equal(t, jsontext.Value(text).IsValid(), Check(text) == nil)
		}
	})
}

// writer writes through the encoder, as this implementation lets it.
type writer string

func (w writer) MarshalJSONTo(enc *jsontext.Encoder) error {
	return enc.WriteToken(jsontext.String(string(w)))
}

func TestWhatIsWrittenToTheEncoderIsUTF8(t *testing.T) {
	for text, bad := range map[writer]bool{"a": false, "\ufffd": false, "\xff": true, "\ufffd\xff": true} {
		for _, value := range []any{text, []any{text}, map[string]writer{"a": text}} {
			_, err := Encode(value)
			require.Equal(t, bad, err != nil, "%q", text)
		}
	}
}
