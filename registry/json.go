package registry

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"
)

// encode is value as it is stored: compact JSON, without HTML escaping. Its errors never hold the value: what
// encoding/json, or a MarshalJSON method, says of it may quote it.
func encode(value any, limit int) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, encodeError(err)
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if !utf8.Valid(text) || hasEscapedReplacement(text) && holdsInvalidUTF8(reflect.ValueOf(value), 0) {
		return nil, fmt.Errorf("%w: a string in it is not UTF-8", ErrEncode)
	}
	if bytes.Count(text, []byte("["))+bytes.Count(text, []byte("{")) > maxJSONDepth && !json.Valid(text) {
		return nil, fmt.Errorf("%w: it is nested deeper than %d levels", ErrEncode, maxJSONDepth)
	}
	if len(text) > limit {
		return nil, invalid("the value has %d bytes of JSON, at most %d are allowed", len(text), limit)
	}
	return text, nil
}

// hasEscapedReplacement reports whether text holds the escape \ufffd. The encoder writes it for each byte of a string that
// is not UTF-8, while it leaves a U+FFFD that was in the string as it is; what else brings it is JSON that came as JSON.
func hasEscapedReplacement(text []byte) bool {
	escape := []byte(`\ufffd`)
	for from := 0; ; {
		at := bytes.Index(text[from:], escape)
		if at < 0 {
			return false
		}
		at += from
		backslashes := 0
		for i := at - 1; i >= 0 && text[i] == '\\'; i-- {
			backslashes++
		}
		if backslashes%2 == 0 {
			return true
		}
		from = at + len(escape)
	}
}

// maxJSONDepth is the deepest that encoding/json decodes (maxNestingDepth in its scanner.go). It encodes deeper values.
const maxJSONDepth = 10_000

// holdsInvalidUTF8 reports whether a string in v, as the encoder reaches it, is not UTF-8: storing it would lose what was
// there.
func holdsInvalidUTF8(v reflect.Value, depth int) bool {
	return v.IsValid() && !marshalsItself(v) && partsHoldInvalidUTF8(v, depth)
}

// maxGoDepth bounds the way through a value: each level of JSON is a few of Go's, and pointers to embedded structs, which the
// encoder leaves out where they come again, may be a circle.
const maxGoDepth = 10 * maxJSONDepth

func partsHoldInvalidUTF8(v reflect.Value, depth int) bool {
	if depth > maxGoDepth {
		return false
	}
	switch v.Kind() {
	case reflect.String:
		return !utf8.ValidString(v.String())
	case reflect.Pointer, reflect.Interface:
		return holdsInvalidUTF8(v.Elem(), depth+1)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if holdsInvalidUTF8(v.Index(i), depth+1) {
				return true
			}
		}
	case reflect.Map:
		for entry := v.MapRange(); entry.Next(); {
			key := entry.Key()
			if key.Kind() == reflect.String && !utf8.ValidString(key.String()) { // other keys write their own text, or are numbers
				return true
			}
			if holdsInvalidUTF8(entry.Value(), depth+1) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f, held, holds := v.Type().Field(i), v.Field(i), holdsInvalidUTF8
			if isFlattened(f) { // it does not write its own JSON, even where it could
				holds = partsHoldInvalidUTF8
				if held.Kind() == reflect.Pointer {
					held = held.Elem()
				}
			}
			if isEncoded(f) && holds(held, depth+1) {
				return true
			}
		}
	}
	return false
}

// isEncoded reports whether the encoder may reach a field: of those that are not exported it does embedded structs.
func isEncoded(f reflect.StructField) bool {
	return (f.IsExported() || embedsStruct(f)) && f.Tag.Get("json") != "-"
}

// isFlattened reports whether the encoder takes a field's fields for those of the struct around it.
func isFlattened(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return embedsStruct(f) && name == ""
}

func embedsStruct(f reflect.StructField) bool {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.Anonymous && t.Kind() == reflect.Struct
}

// marshalsItself reports whether v, or a pointer to it, writes its own JSON.
func marshalsItself(v reflect.Value) bool {
	types := []reflect.Type{v.Type()}
	if v.CanAddr() {
		types = append(types, reflect.PointerTo(v.Type()))
	}
	return slices.ContainsFunc(types, func(t reflect.Type) bool {
		return t.Implements(marshaler) || t.Implements(textMarshaler)
	})
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

func encodeError(err error) error {
	var (
		kind  *json.UnsupportedTypeError
		value *json.UnsupportedValueError
		own   *json.MarshalerError
	)
	switch {
	case errors.As(err, &kind):
		return fmt.Errorf("%w: type %s has no JSON form", ErrEncode, kind.Type)
	case errors.As(err, &value):
		return fmt.Errorf("%w: a %s in it has no JSON form: NaN, an infinity or a cycle", ErrEncode, value.Value.Type())
	case errors.As(err, &own):
		return fmt.Errorf("%w: the marshal method of %s failed", ErrEncode, own.Type)
	}
	return ErrEncode
}

// checkDestination refuses what json.Unmarshal cannot fill.
func checkDestination(dst any) error {
	if v := reflect.ValueOf(dst); v.Kind() != reflect.Pointer || v.IsNil() {
		return invalid("the destination is a %T, want a pointer that is not nil", dst)
	}
	return nil
}

// decode fills dst from JSON text. Its errors name Go types, never what was stored.
func decode(text []byte, dst any) error {
	if !utf8.Valid(text) { // JSON is UTF-8; json would replace what is not
		return notJSON(dst)
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
		where := ""
		if mismatch.Struct != "" {
			where = " in field " + mismatch.Field
		}
		return fmt.Errorf("%w into %s: a JSON %s does not fit %s%s",
			ErrDecode, reflect.TypeOf(dst).Elem(), jsonKind(mismatch.Value), mismatch.Type, where)
	case errors.As(err, &syntax):
		return notJSON(dst)
	}
	return fmt.Errorf("%w into %s: its unmarshal method failed", ErrDecode, reflect.TypeOf(dst).Elem())
}

func notJSON(dst any) error {
	return fmt.Errorf("%w into %s: it is not JSON", ErrDecode, reflect.TypeOf(dst).Elem())
}

// jsonKind is the first word of what json says it met: the literal may follow ("number 123"). An unmarshal method may
// have put anything there, its input too: what is no kind is not repeated.
func jsonKind(met string) string {
	switch kind, _, _ := strings.Cut(met, " "); kind {
	case "string", "number", "bool", "array", "object":
		return kind
	}
	return "value"
}
