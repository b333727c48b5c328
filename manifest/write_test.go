package manifest_test

import (
	"encoding/json"
	"path/filepath"
	"strings"

	"github.com/oxide-k/stateregistry/manifest"
	"github.com/oxide-k/stateregistry/registry"
)

// full returns a manifest with every field, in no form that a writer would get right by chance.
func full() manifest.Manifest {
	return manifest.Manifest{
		ID: "pet<store>", Name: "Pet & Store ü 😀 \u2028", Version: "1.0.0", Kind: registry.KindNative, Description: new(""),
		SpecKind: "openapi", Binary: "petstore-cli", Skill: "doc/SKILL.md", MCP: "mcp.json", BaseURL: "https://example.com/?a=1&b=2",
		Operations: []string{"list_pets", ""}, Capabilities: []string{"net", "fs:read"},
		Extra: map[string]json.RawMessage{
			"signature": json.RawMessage(`{ "x" : [1.50, 12345678901234567890.10, 1E400, "\u003c<"] }`),
			"ID":        json.RawMessage("7"), "author \"&\" ü": json.RawMessage("null"), "": json.RawMessage(`[ ]`),
		},
	}
}

func (s *manifestSuite) TestWritesKnownFieldsInOrderAndThenTheOthersByName() {
	text, err := full().MarshalJSON()
	s.Require().NoError(err)
	s.Require().Equal(`{"id":"pet<store>","name":"Pet & Store ü 😀 \u2028","version":"1.0.0","kind":"native","description":"",`+
		`"spec_kind":"openapi","binary":"petstore-cli","skill":"doc/SKILL.md","mcp":"mcp.json",`+
		`"base_url":"https://example.com/?a=1&b=2","operations":["list_pets",""],"capabilities":["net","fs:read"],`+
		`"":[ ],"ID":7,"author \"&\" ü":null,"signature":{ "x" : [1.50, 12345678901234567890.10, 1E400, "\u003c<"] }}`, string(text))
	m, err := manifest.Parse(text)
	s.Require().NoError(err)
	s.Require().Equal(full(), m)
}

func (s *manifestSuite) TestEmptyFieldsAreLeftOutUnlessTheyAreRequired() {
	text, err := manifest.Manifest{ID: "a", Kind: registry.KindWasm}.MarshalJSON()
	s.Require().NoError(err)
	s.Require().Equal(`{"id":"a","name":"","version":"","kind":"wasm"}`, string(text))
	text, err = manifest.Manifest{
		ID: "a", Kind: registry.KindWasm, Operations: []string{}, Capabilities: []string{}, Extra: map[string]json.RawMessage{},
	}.MarshalJSON()
	s.Require().NoError(err)
	s.Require().Equal(`{"id":"a","name":"","version":"","kind":"wasm","operations":[],"capabilities":[]}`, string(text))
}

// json.Marshal and json.MarshalIndent change spaces and escapes, and nothing else.
func (s *manifestSuite) TestNothingIsLostThroughEncodingJSON() {
	read := func(text []byte, err error) (m manifest.Manifest) {
		s.Require().NoError(err)
		s.Require().NoError(json.Unmarshal(text, &m))
		return m
	}
	for _, m := range []manifest.Manifest{
		read(json.Marshal(full())), read(json.Marshal(new(full()))), read(json.MarshalIndent(full(), "", "  ")),
		read(read(json.MarshalIndent(full(), "", "  ")).MarshalJSON()),
	} {
		s.Require().Contains(string(m.Extra["signature"]), "12345678901234567890.10")
		s.Require().Contains(string(m.Extra["signature"]), "1E400")
		for name, text := range full().Extra {
			s.Require().JSONEq(strings.ReplaceAll(string(text), "1E400", "1"), strings.ReplaceAll(string(m.Extra[name]), "1E400", "1"))
		}
		s.Require().Len(m.Extra, 4)
		m.Extra = full().Extra
		s.Require().Equal(full(), m)
	}
	for _, folder := range []string{"petstore", "echo", "schema"} {
		m, err := manifest.Read(filepath.Join(testdata, folder))
		s.Require().NoError(err)
		s.Require().Equal(m, read(json.MarshalIndent(m, "", "  ")))
	}
}

func (s *manifestSuite) TestWritesNothingThatItWouldNotRead() {
	for name, c := range map[string]struct {
		spoil func(*manifest.Manifest)
		names string
	}{
		"no id":                     {func(m *manifest.Manifest) { m.ID = "" }, "the id"},
		"no kind":                   {func(m *manifest.Manifest) { m.Kind = "" }, "the kind"},
		"another kind":              {func(m *manifest.Manifest) { m.Kind = "python" }, "the kind"},
		"a NUL in the name":         {func(m *manifest.Manifest) { m.Name = "\x00" }, "the name"},
		"a name in Latin-1":         {func(m *manifest.Manifest) { m.Name = "\xfc" }, `"name"`},
		"a description in Latin-1":  {func(m *manifest.Manifest) { m.Description = new("\xfc") }, `"description"`},
		"a path in Latin-1":         {func(m *manifest.Manifest) { m.Skill = "\xfc" }, `"skill"`},
		"a capability in Latin-1":   {func(m *manifest.Manifest) { m.Capabilities = []string{"a", "\xfc"} }, `"capabilities"`},
		"half of a character each":  {func(m *manifest.Manifest) { m.Operations = []string{"\xc3", "\xbc"} }, `"operations"`},
		"a known name in Extra":     {extra("binary", `"x"`), `"binary"`},
		"no value in Extra":         {extra("x", ""), `"x"`},
		"no JSON in Extra":          {extra("x", "{a}"), `"x"`},
		"two values in Extra":       {extra("x", `1,"y":2`), `"x"`},
		"Latin-1 in Extra":          {extra("x", "\"\xfc\""), "UTF-8"},
		"a name in Extra, Latin-1":  {extra("\xfc", "1"), `"\xfc"`},
		"half a surrogate in Extra": {extra("x", `"\ud800"`), "surrogate"},
		"too much": {
			func(m *manifest.Manifest) { m.BaseURL = strings.Repeat("x", manifest.MaxSize) }, "bytes"},
	} {
		m := full()
		c.spoil(&m)
		for _, write := range []func() ([]byte, error){m.MarshalJSON, func() ([]byte, error) { return json.Marshal(m) }} {
			text, err := write()
			s.Require().ErrorIs(err, registry.ErrInvalid, name)
			s.Require().ErrorContains(err, c.names, name)
			s.Require().Less(len(err.Error()), 300, name)
			s.Require().Empty(text, name)
		}
	}
}

func extra(name, value string) func(*manifest.Manifest) {
	return func(m *manifest.Manifest) { m.Extra = map[string]json.RawMessage{name: json.RawMessage(value)} }
}

func (s *manifestSuite) TestDecodingIsParsing() {
	m := full()
	s.Require().ErrorIs(json.Unmarshal([]byte(`{"id":"b"}`), &m), registry.ErrInvalid)
	s.Require().Equal(full(), m, "an error changes nothing")
	s.Require().NoError(json.Unmarshal([]byte(`{"id":"b","name":"","version":"","kind":"wasm"}`), &m))
	s.Require().Equal(manifest.Manifest{ID: "b", Kind: registry.KindWasm}, m, "nothing is left of what it was")
}
