package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/oxide-k/stateregistry/registry"
)

// field is a field of a manifest that this package knows.
type field struct {
	name     string
	value    any // points to the field of a Manifest
	required bool
}

// fields lists the known fields of m, in the order in which they are written.
func (m *Manifest) fields() []field {
	return []field{
		{"id", &m.ID, true},
		{"name", &m.Name, true},
		{"version", &m.Version, true},
		{"kind", &m.Kind, true},
		{"description", &m.Description, false},
		{"spec_kind", &m.SpecKind, false},
		{"binary", &m.Binary, false},
		{"skill", &m.Skill, false},
		{"mcp", &m.MCP, false},
		{"base_url", &m.BaseURL, false},
		{"operations", &m.Operations, false},
		{"capabilities", &m.Capabilities, false},
	}
}

func parse(data []byte) (Manifest, error) {
	found, err := split(data)
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	for _, f := range m.fields() {
		value := found[f.name]
		delete(found, f.name)
		if value == nil || string(value) == "null" {
			if f.required {
				return Manifest{}, invalid("field %q is missing", f.name)
			}
			continue
		}
		if err := f.read(value); err != nil {
			return Manifest{}, err
		}
	}
	if len(found) > 0 {
		m.Extra = found
	}
	return m, m.Metadata().Validate()
}

// read sets the field from its JSON.
func (f field) read(value json.RawMessage) error {
	list, isList := f.value.(*[]string)
	if !isList {
		if json.Unmarshal(value, f.value) != nil {
			return invalid("field %q is not a string", f.name)
		}
		return nil
	}
	var texts []*string // a null among strings would be ""
	if json.Unmarshal(value, &texts) != nil || slices.Contains(texts, nil) {
		return invalid("field %q is not a list of strings", f.name)
	}
	*list = make([]string, len(texts))
	for i, text := range texts {
		(*list)[i] = *text
	}
	return nil
}

// split returns the fields of the JSON object data, each as it is written. It refuses what readers of JSON take differently: text
// that is no Unicode, and a name that is there twice.
func split(data []byte) (map[string]json.RawMessage, error) {
	switch {
	case len(data) > MaxSize:
		return nil, invalid("it has more than %d bytes", MaxSize)
	case !utf8.Valid(data): // encoding/json would replace the bad bytes
		return nil, invalid("it is not UTF-8")
	}
	var fields map[string]json.RawMessage // a struct would take "ID" for "id"
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, malformed(data, err)
	}
	if fields == nil {
		return nil, invalid("it is JSON, but no object")
	}
	if hasLoneSurrogate(data) { // encoding/json would replace it
		return nil, invalid("it holds half of a surrogate pair, such as \\ud800, which is no character")
	}
	return fields, checkNames(data)
}

// checkNames refuses a JSON object that has a name twice. A map keeps the last of them; oxide-k refuses the file if it knows the name.
func checkNames(object []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if _, err := decoder.Token(); err != nil { // the brace
		return invalid("%w", err)
	}
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return invalid("%w", err)
		}
		name, _ := token.(string)
		if seen[name] {
			return invalid("field %.64q is there twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return invalid("%w", err)
		}
	}
	return nil
}

// escapes finds the escapes in strings of JSON. Its one group is half of a surrogate pair, without the other half.
var escapes = regexp.MustCompile(`\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F])`)

// hasLoneSurrogate reports whether a string in JSON has an escape that stands for no character.
func hasLoneSurrogate(text []byte) bool {
	for {
		match := escapes.FindSubmatchIndex(text)
		if match == nil || match[2] >= 0 {
			return match != nil
		}
		text = text[match[1]:]
	}
}

// malformed says where the text stops being JSON.
func malformed(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return invalid("it is JSON, but no object")
	}
	// Offset is the place of the byte that is wrong; in the encoding/json of before version 2, the place after it.
	before := data[:min(int(syntax.Offset), len(data))]
	if len(before) == len(data) { // it ends too early: in its last line, not after it
		before = bytes.TrimSuffix(before, []byte("\n"))
	}
	return invalid("line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", registry.ErrInvalid, fmt.Errorf(format, args...))
}
