package registry

import (
	"fmt"
	"reflect"

	"github.com/oxide-k/stateregistry/internal/jsonvalue"
)

// encode returns value as it is stored. Its errors never hold the value.
func encode(value any, limit int) ([]byte, error) {
	text, err := encoded(value)
	if err != nil {
		return nil, err
	}
	if len(text) > limit {
		return nil, invalid("the value has %d bytes of JSON, at most %d are allowed", len(text), limit)
	}
	return text, nil
}

func encoded(value any) ([]byte, error) {
	if already, ok := value.(encodedValue); ok {
		return already.text, nil
	}
	text, err := jsonvalue.Encode(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrEncode, err)
	}
	return text, nil
}

// encodedValue is a value that was encoded before it came to SetConfig: encoding it again could give another text.
type encodedValue struct{ text []byte }

// MarshalJSON implements json.Marshaler, for whoever wraps a Writer and looks at what it is given.
func (e encodedValue) MarshalJSON() ([]byte, error) { return e.text, nil }

// checkDestination refuses what json.Unmarshal cannot fill.
func checkDestination(dst any) error {
	if v := reflect.ValueOf(dst); v.Kind() != reflect.Pointer || v.IsNil() {
		return invalid("the destination is a %T, want a pointer that is not nil", dst)
	}
	return nil
}

// decode fills dst from JSON text. Its errors name Go types, never what was stored.
func decode(text []byte, dst any) error {
	if err := jsonvalue.Decode(text, dst); err != nil {
		return fmt.Errorf("%w into %s: %w", ErrDecode, reflect.TypeOf(dst).Elem(), err)
	}
	return nil
}
