package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/oxide-k/stateregistry/registry"
)

// MarshalJSON returns the text of a module.json, in compact form; json.MarshalIndent(m, "", "  ") gives one that is easy to read.
// The known fields come first, in the order in which [Manifest] has them, then those of Extra by name, each value as it is there.
// Optional fields that are "" or nil are left out. [Parse] of the result gives m again.
//
// It refuses what Parse would refuse, text that is not UTF-8, and an Extra that has a known field's name or a value that is not
// JSON: registry.ErrInvalid, naming the field. (What json.Marshal and json.MarshalIndent do to the text: they change the spaces
// within values of Extra, and write < > & as \u003c and the like.)
func (m Manifest) MarshalJSON() ([]byte, error) {
	data, err := m.text()
	if err == nil {
		_, err = parse(data)
	}
	if err != nil {
		return nil, fmt.Errorf("manifest: write: %w", err)
	}
	return data, nil
}

// UnmarshalJSON sets m to what [Parse] returns.
func (m *Manifest) UnmarshalJSON(data []byte) error {
	parsed, err := Parse(data)
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// text writes m, after checking what would not be seen in the result.
func (m Manifest) text() ([]byte, error) {
	var o object
	known := map[string]bool{}
	for _, f := range m.fields() {
		known[f.name] = true
		value, texts := f.content()
		if value == nil {
			continue
		}
		if !utf8.ValidString(strings.Join(texts, "\n")) {
			return nil, invalid("field %q is not UTF-8", f.name)
		}
		if err := o.add(f.name, value); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Extra)) {
		switch {
		case known[name]:
			return nil, invalid("Extra has field %q, which is one of Manifest's own", name)
		case !utf8.ValidString(name):
			return nil, invalid("the name of field %.64q is not UTF-8", name)
		case !json.Valid(m.Extra[name]):
			return nil, invalid("field %.64q is not JSON", name)
		}
		if err := o.addRaw(name, m.Extra[name]); err != nil {
			return nil, err
		}
	}
	return o.end(), nil
}

// content returns what is to be written of the field, nil for nothing, and the texts in it.
func (f field) content() (value any, texts []string) {
	switch v := f.value.(type) {
	case *string:
		if *v != "" || f.required {
			return *v, []string{*v}
		}
	case **string:
		if *v != nil {
			return **v, []string{**v}
		}
	case *registry.ModuleKind:
		return *v, []string{string(*v)}
	case *[]string:
		if *v != nil {
			return *v, *v
		}
	}
	return nil, nil
}

// object is the text of a JSON object in the making.
type object struct{ text bytes.Buffer }

func (o *object) add(name string, value any) error {
	text, err := encode(value)
	if err != nil {
		return err
	}
	return o.addRaw(name, text)
}

func (o *object) addRaw(name string, value json.RawMessage) error {
	text, err := encode(name)
	if err != nil {
		return err
	}
	separator := byte(',')
	if o.text.Len() == 0 {
		separator = '{'
	}
	o.text.WriteByte(separator)
	o.text.Write(text)
	o.text.WriteByte(':')
	o.text.Write(value)
	return nil
}

// end returns the text of an object that has at least one field.
func (o *object) end() []byte {
	o.text.WriteByte('}')
	return o.text.Bytes()
}

// encode returns value as JSON, without the escapes that only HTML needs.
func encode(value any) (json.RawMessage, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
