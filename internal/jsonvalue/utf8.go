package jsonvalue

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// encoding/json replaces what is not UTF-8 in a string by U+FFFD instead of refusing it, as an escape or as the character: that
// depends on the implementation (GOEXPERIMENT=jsonv2 brings another). So where U+FFFD is in the text, the value itself is looked
// through for a string that is not UTF-8.

// mayHoldReplaced reports whether U+FFFD is in text, also as an escape, even one that is quoted twice. It may be wrong if it says yes.
func mayHoldReplaced(text []byte) bool {
	return bytes.Contains(text, []byte("\ufffd")) ||
		bytes.IndexByte(text, '\\') >= 0 && (bytes.Contains(text, []byte("ufffd")) || bytes.Contains(text, []byte("uFFFD")))
}

// isMangled reports whether the JSON of value has lost a byte that is not UTF-8. It asks marshal methods once more for what they give.
func isMangled(value any) bool {
	return holdsInvalidUTF8(reflect.ValueOf(value), 0) || isRefusedByStrict(value)
}

// holdsInvalidUTF8 reports whether a string in v, as the encoder reaches it, is not UTF-8.
func holdsInvalidUTF8(v reflect.Value, depth int) bool {
	if !v.IsValid() {
		return false
	}
	if text, own := ownText(v); own {
		return !utf8.Valid(text)
	}
	return partsHoldInvalidUTF8(v, depth)
}

// maxGoDepth bounds the way through a value: each level of JSON is a few of Go's, and pointers to embedded structs, which the
// encoder leaves out where they come again, may be a circle.
const maxGoDepth = 10 * MaxDepth

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
		if k := v.Type().Elem().Kind(); k <= reflect.Complex128 && !marshalsItself(v.Type().Elem()) { // numbers and booleans
			return false
		}
		for i := range v.Len() {
			if holdsInvalidUTF8(v.Index(i), depth+1) {
				return true
			}
		}
	case reflect.Map:
		for entry := v.MapRange(); entry.Next(); {
			if keyHoldsInvalidUTF8(entry.Key()) || holdsInvalidUTF8(entry.Value(), depth+1) {
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

// keyHoldsInvalidUTF8 reports whether a map's key is not UTF-8. The encoder asks keys for their text unless they are strings.
func keyHoldsInvalidUTF8(key reflect.Value) bool {
	if key.Kind() == reflect.String {
		return !utf8.ValidString(key.String())
	}
	text, _ := ownText(key)
	return !utf8.Valid(text)
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

// ownText returns what v, or a pointer to it, gives for its JSON or its text, if it has a method for that. A method that fails now, or
// gives something else than it gave the encoder, is not to be helped.
func ownText(v reflect.Value) (text []byte, own bool) {
	t := v.Type()
	if !marshalsItself(t) && v.CanAddr() && marshalsItself(reflect.PointerTo(t)) {
		v = v.Addr()
	} else if !marshalsItself(t) {
		return nil, false
	}
	if (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil() || !v.CanInterface() {
		return nil, false
	}
	switch v := v.Interface().(type) {
	case json.Marshaler:
		text, _ = v.MarshalJSON()
	case encoding.TextMarshaler:
		text, _ = v.MarshalText()
	}
	return text, true
}

// marshalsItself reports whether values of type t make their own JSON.
func marshalsItself(t reflect.Type) bool {
	return t.Implements(marshaler) || t.Implements(textMarshaler)
}

var (
	marshaler     = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)
