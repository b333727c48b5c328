// Package jsonvalue makes the JSON text that a registry stores of Go values, and Go values of stored text. What it makes is text that
// all readers of JSON take alike. Its errors never hold a value, nor a part of one: names in an object and map keys are parts of values.
package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Encode returns value as compact JSON, without HTML escaping. Numbers that come as text, as in a json.RawMessage, stay as they are
// written. It refuses a value for which there is no such text, and what [Check] refuses.
func Encode(value any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		return nil, encodeError(err)
	}
	text := bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
	if err := Check(text); err != nil {
		return nil, err
	}
	if mayHoldReplaced(text) && isMangled(value) {
		return nil, errNotUTF8
	}
	return text, nil
}

// encodeError says why encoding/json refused a value, without what it quotes of the value, and without what a marshal method says.
func encodeError(err error) error {
	var (
		kind   *json.UnsupportedTypeError
		value  *json.UnsupportedValueError
		own    *json.MarshalerError
		syntax *json.SyntaxError
	)
	switch {
	case errors.As(err, &kind) && kind.Type != nil:
		return fmt.Errorf("type %s has no JSON form", kind.Type)
	case errors.As(err, &value):
		what := "value" // encoding/json does not always say which
		if value.Value.IsValid() {
			what = value.Value.Type().String()
		}
		return fmt.Errorf("a %s in it has no JSON form: NaN, an infinity, a cycle or a map key", what)
	case errors.As(err, &own) && own.Type != nil:
		name := typeName(own.Type)
		switch {
		case errors.As(own.Err, &syntax):
			return fmt.Errorf("it is not valid JSON, or nested deeper than %d levels: look at byte %d of the %s in it",
				MaxDepth, syntax.Offset, name)
		case name == numberName:
			return errNoNumber
		}
		return fmt.Errorf("the method of %s that makes its JSON failed", name)
	case errors.As(err, &syntax):
		return fmt.Errorf("it is not valid JSON, or nested deeper than %d levels", MaxDepth)
	}
	return errNoNumber
}

// errNoNumber is for what encoding/json has no type of error.
var errNoNumber = errors.New("it is not valid JSON: a json.Number in it is no number, or the text of a map key failed")

const numberName = "json.Number"

// typeName names a type as its user does: encoding/json may name a pointer to it, or what it is an alias of.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[json.RawMessage]() {
		return "json.RawMessage"
	}
	return t.String()
}
