package registry

import (
	"encoding"
	"encoding/json"
	"math"
	"reflect"
)

// maxFlat is the largest type, in bytes, that is looked through part by part.
const maxFlat = 16 << 10

// isFlat reports whether a value of type t refers to nothing that could change, and encoding/json alone says what its JSON is: a
// copy is a value of its own, and the same as what decoding the same text gives.
func (c *readCache) isFlat(t reflect.Type) bool {
	if known, ok := c.flat.Load(t); ok {
		return known.(bool)
	}
	flat := t.Size() <= maxFlat && isFlat(t)
	c.flat.Store(t, flat)
	return flat
}

func isFlat(t reflect.Type) bool {
	if hasOwnJSON(t) {
		return false
	}
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return true
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isFlat(t.Field(i).Type) {
				return false
			}
		}
		return true
	}
	return false
}

// hasOwnJSON reports whether t, or a pointer to it, has a method that encoding/json asks instead of looking at the value.
func hasOwnJSON(t reflect.Type) bool {
	if t == reflect.TypeFor[json.Number]() { // a text like any other, whatever methods it has
		return false
	}
	pointer := reflect.PointerTo(t)
	for _, own := range []reflect.Type{unmarshaler, textUnmarshaler, marshaler, textMarshaler} {
		if pointer.Implements(own) {
			return true
		}
	}
	// Those of GOEXPERIMENT=jsonv2, whose argument's type is not always there to be named.
	_, marshals := pointer.MethodByName("MarshalJSONTo")
	_, unmarshals := pointer.MethodByName("UnmarshalJSONFrom")
	return marshals || unmarshals
}

var (
	marshaler       = reflect.TypeFor[json.Marshaler]()
	textMarshaler   = reflect.TypeFor[encoding.TextMarshaler]()
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// isZero reports whether a value of a flat type is zero, and no -0 is in it, which reflect takes for zero in a struct.
func isZero(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Float32, reflect.Float64:
		return math.Float64bits(v.Float()) == 0
	case reflect.Array:
		for i := range v.Len() {
			if !isZero(v.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Struct:
		for i := range v.NumField() {
			if !isZero(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// bytesOf is how many bytes a value of a flat type takes, with what its strings refer to.
func bytesOf(v reflect.Value) int64 { return int64(v.Type().Size()) + stringBytes(v) }

func stringBytes(v reflect.Value) (bytes int64) {
	switch v.Kind() {
	case reflect.String:
		return int64(v.Len())
	case reflect.Array:
		for i := range v.Len() {
			bytes += stringBytes(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			bytes += stringBytes(v.Field(i))
		}
	}
	return bytes
}
