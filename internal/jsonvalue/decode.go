package jsonvalue

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Valid reports whether text is JSON that [Decode] takes, whatever the destination.
func Valid(text []byte) bool { return json.Valid(text) && utf8.Valid(text) }

// Decode fills dst, a pointer that is not nil, from JSON text, as json.Unmarshal does. It is more tolerant than [Check], since others
// write such text: of the same names it takes the last, and half of a surrogate pair becomes U+FFFD.
func Decode(text []byte, dst any) error {
	if !utf8.Valid(text) { // JSON is UTF-8; encoding/json would replace what is not
		return errNoJSON
	}
	err := json.Unmarshal(text, dst)
	if err == nil {
		return nil
	}
	var (
		mismatch *json.UnmarshalTypeError
		syntax   *json.SyntaxError
	)
	switch {
	case errors.As(err, &mismatch) && mismatch.Type != nil: // an unmarshal method's own may have none
		where := fieldPath(reflect.TypeOf(dst), mismatch.Field)
		if where != "" {
			where = " in field " + where
		}
		return fmt.Errorf("a JSON %s does not fit %s%s", kind(mismatch.Value), mismatch.Type, where)
	case errors.As(err, &syntax):
		return errNoJSON
	}
	return errors.New("its unmarshal method failed")
}

var errNoJSON = errors.New("it is not JSON")

// kind returns the first word of what encoding/json says it met: the literal may follow ("number 123"). An unmarshal method may have put
// anything there, its input too: what is no kind is not repeated.
func kind(met string) string {
	switch kind, _, _ := strings.Cut(met, " "); kind {
	case "string", "number", "bool", "array", "object":
		return kind
	}
	return "value"
}

// fieldPath returns the names in path that are fields of type t, of the fields' types and so on, as the types spell them. The others
// are not repeated: they may be a map's keys, or whatever an unmarshal method put there.
func fieldPath(t reflect.Type, path string) string {
	var known []string
	for token := range strings.SplitSeq(path, ".") {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Array || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			break
		}
		if name, of, ok := fieldNamed(t, token, 0); ok {
			known, t = append(known, name), of
		}
	}
	return strings.Join(known, ".")
}

// fieldNamed finds a field of a struct, or of the structs that it embeds, by the name that it has in JSON.
func fieldNamed(t reflect.Type, name string, depth int) (spelled string, of reflect.Type, ok bool) {
	const deepest = 8 // embedded pointers may be a circle
	for i := range t.NumField() {
		f := t.Field(i)
		spelled, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if spelled == "" {
			spelled = f.Name
		}
		if strings.EqualFold(spelled, name) {
			return spelled, f.Type, true
		}
		if isFlattened(f) && depth < deepest {
			embedded := f.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			if spelled, of, ok := fieldNamed(embedded, name, depth+1); ok {
				return spelled, of, true
			}
		}
	}
	return "", nil, false
}
