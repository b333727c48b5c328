package manifest_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/manifest"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/registry/registrytest"
)

const testdata = "../tests/testdata/manifests"

func TestManifest(t *testing.T) { suite.Run(t, new(manifestSuite)) }

type manifestSuite struct{ suite.Suite }

func (s *manifestSuite) TestReadsEveryFieldThatOxideGenEmits() {
	m, err := manifest.Read(filepath.Join(testdata, "petstore"))
	s.Require().NoError(err)
	s.Require().Equal(manifest.Manifest{
		ID: "petstore", Name: "Pet Store", Version: "1.0.0", Kind: registry.KindNative,
		Description: new("Lists, creates and shows pets."),
		SpecKind:    "openapi", Binary: "petstore-cli", Skill: "SKILL.md", MCP: "mcp.json",
		BaseURL:    "https://petstore.example.com/v1",
		Operations: []string{"list_pets", "create_pet", "get_pet"},
	}, m)
}

func (s *manifestSuite) TestReadsOneOfEachKindOfAPI() {
	for id, want := range map[string]struct{ spec, baseURL string }{
		"petstore": {"openapi", "https://petstore.example.com/v1"},
		"echo":     {"grpc", ""},
		"schema":   {"graphql", ""},
	} {
		m, err := manifest.Read(filepath.Join(testdata, id))
		s.Require().NoError(err, id)
		s.Require().Equal(id, m.ID)
		s.Require().Equal(want.spec, m.SpecKind, id)
		s.Require().Equal(want.baseURL, m.BaseURL, id)
		s.Require().Equal(id+"-cli", m.Binary)
		s.Require().NotEmpty(m.Operations, id)
	}
}

func (s *manifestSuite) TestAFileAndItsFolderAreTheSameManifest() {
	folder, err := manifest.Read(filepath.Join(testdata, "echo"))
	s.Require().NoError(err)
	file, err := manifest.Read(filepath.Join(testdata, "echo", manifest.FileName))
	s.Require().NoError(err)
	s.Require().Equal(folder, file)
}

func (s *manifestSuite) TestOnlyFourFieldsAreRequired() {
	want := manifest.Manifest{ID: "a", Name: "", Version: "", Kind: registry.KindWasm}
	for _, text := range []string{
		`{"id":"a","name":"","version":"","kind":"wasm"}`,
		`{"id":"a","name":"","version":"","kind":"wasm","description":null,"spec_kind":null,"binary":null,"skill":null,
		  "mcp":null,"base_url":null,"operations":null}`,
	} {
		m, err := manifest.Parse([]byte(text))
		s.Require().NoError(err)
		s.Require().Equal(want, m)
	}
}

func (s *manifestSuite) TestAnEmptyDescriptionIsNotNone() {
	m, err := manifest.Parse([]byte(`{"id":"a","name":"A","version":"1","kind":"wasm","description":""}`))
	s.Require().NoError(err)
	s.Require().Equal(new(""), m.Metadata().Description)
}

func (s *manifestSuite) TestUnknownFieldsAreKeptAsWrittenAndNamesComparedToTheLetter() {
	text := []byte(`{"ID":7,"id":"a","name":"A","Name":"other","version":"1","kind":"wasm","KIND":[],"none":null,
		"signature":{ "x" : [1.50, 1E400, "\u003c\/<", {"a":1,"a":2}] },"Capabilities":["x"],"":0}`)
	m, err := manifest.Parse(text)
	s.Require().NoError(err)
	s.Require().Equal(manifest.Manifest{
		ID: "a", Name: "A", Version: "1", Kind: registry.KindWasm,
		Extra: map[string]json.RawMessage{
			"ID": json.RawMessage("7"), "Name": json.RawMessage(`"other"`), "KIND": json.RawMessage("[]"),
			"none":         json.RawMessage("null"),
			"signature":    json.RawMessage(`{ "x" : [1.50, 1E400, "\u003c\/<", {"a":1,"a":2}] }`),
			"Capabilities": json.RawMessage(`["x"]`), "": json.RawMessage("0"),
		},
	}, m)
	clear(text)
	s.Require().Equal(`"other"`, string(m.Extra["Name"]), "it is the manifest's own")
}

func (s *manifestSuite) TestListsMayBeAbsentOrEmpty() {
	for text, want := range map[string][]string{
		``: nil, `,"operations":null,"capabilities":null`: nil, `,"operations":[],"capabilities":[]`: {},
		`,"operations":["a","", "ü"],"capabilities":["a","","\u00fc"]`: {"a", "", "ü"},
	} {
		m, err := manifest.Parse([]byte(`{"id":"a","name":"A","version":"1","kind":"wasm"` + text + `}`))
		s.Require().NoError(err, text)
		s.Require().Equal(want, m.Operations, text)
		s.Require().Equal(want, m.Capabilities, text)
		s.Require().Nil(m.Extra, text)
	}
}

func (s *manifestSuite) TestRefusesWhatIsNoManifestAndNamesTheFieldAndTheFile() {
	with := func(fields string) string { return `{"id":"a","name":"A","version":"1","kind":"wasm",` + fields + `}` }
	for name, c := range map[string]struct{ text, names string }{
		"nothing":               {"", "line 1"},
		"no JSON":               {"id = a", "line 1"},
		"cut off":               {"{\n\"id\": \"a\",\n", "line 2"},
		"a comma too many":      {"{\n\"id\": \"a\",\n}", "line 3"},
		"more after the object": {`{"id":"a","name":"A","version":"1","kind":"wasm"} {}`, "after top-level value"},
		"a list":                {`[]`, "no object"},
		"a string":              {`"a"`, "no object"},
		"null":                  {`null`, "no object"},
		"not UTF-8":             {"{\"id\":\"\xff\",\"name\":\"A\",\"version\":\"1\",\"kind\":\"wasm\"}", "UTF-8"},
		"a byte order mark":     {"\xef\xbb\xbf{}", "line 1"},
		"no id":                 {`{"name":"A","version":"1","kind":"wasm"}`, `"id"`},
		"no name":               {`{"id":"a","version":"1","kind":"wasm"}`, `"name"`},
		"no version":            {`{"id":"a","name":"A","kind":"wasm"}`, `"version"`},
		"no kind":               {`{"id":"a","name":"A","version":"1"}`, `"kind"`},
		"id is null":            {`{"id":null,"name":"A","version":"1","kind":"wasm"}`, `"id"`},
		"name is null":          {`{"id":"a","name":null,"version":"1","kind":"wasm"}`, `"name"`},
		"version is null":       {`{"id":"a","name":"A","version":null,"kind":"wasm"}`, `"version"`},
		"id is empty":           {`{"id":"","name":"A","version":"1","kind":"wasm"}`, "the id"},
		"id holds a NUL":        {`{"id":"a\u0000","name":"A","version":"1","kind":"wasm"}`, "the id"},
		"id is too long": {
			`{"id":"` + strings.Repeat("a", registry.MaxKey+1) + `","name":"A","version":"1","kind":"wasm"}`, "the id"},
		"name is a number":           {`{"id":"a","name":1,"version":"1","kind":"wasm"}`, `"name"`},
		"name holds a NUL":           {`{"id":"a","name":"\u0000","version":"1","kind":"wasm"}`, "the name"},
		"version is a number":        {`{"id":"a","name":"A","version":1.0,"kind":"wasm"}`, `"version"`},
		"version holds a NUL":        {`{"id":"a","name":"A","version":"\u0000","kind":"wasm"}`, "the version"},
		"an unknown kind":            {`{"id":"a","name":"A","version":"1","kind":"python"}`, `"python"`},
		"a kind in capitals":         {`{"id":"a","name":"A","version":"1","kind":"Native"}`, "the kind"},
		"an empty kind":              {`{"id":"a","name":"A","version":"1","kind":""}`, "the kind"},
		"kind is a list":             {`{"id":"a","name":"A","version":"1","kind":["wasm"]}`, `"kind"`},
		"description is an object":   {with(`"description":{}`), `"description"`},
		"description holds a NUL":    {with(`"description":"a\u0000b"`), "the description"},
		"spec_kind is a number":      {with(`"spec_kind":1`), `"spec_kind"`},
		"binary is a list":           {with(`"binary":[]`), `"binary"`},
		"skill is a boolean":         {with(`"skill":true`), `"skill"`},
		"mcp is an object":           {with(`"mcp":{"command":"x"}`), `"mcp"`},
		"base_url is a number":       {with(`"base_url":1`), `"base_url"`},
		"operations is a string":     {with(`"operations":"say"`), `"operations"`},
		"operations holds an object": {with(`"operations":[{"id":"say"}]`), `"operations"`},
		"operations holds a null":    {with(`"operations":["say",null]`), `"operations"`},
		"capabilities is a string":   {with(`"capabilities":"net"`), `"capabilities"`},
		"capabilities is an object":  {with(`"capabilities":{"net":true}`), `"capabilities"`},
		"capabilities holds a null":  {with(`"capabilities":[null]`), `"capabilities"`},
		"two ids":                    {with(`"id":"b"`), `"id" is there twice`},
		"two ids, one of them null":  {with(`"id":null`), `"id" is there twice`},
		"two ids, one escaped":       {with(`"\u0069d":"b"`), `"id" is there twice`},
		"two of an unknown field":    {with(`"x":1,"y":2,"x":1`), `"x" is there twice`},
		"half a surrogate pair":      {with(`"binary":"\ud83d"`), "surrogate"},
		"the other half":             {with(`"x":["\ude00"]`), "surrogate"},
		"two first halves":           {with(`"x":"\ud83d\ud83d"`), "surrogate"},
		"halves with a gap":          {with(`"x":"\ud83d.\ude00"`), "surrogate"},
		"half a pair in a name":      {with(`"\ud83d":1`), "surrogate"},
	} {
		s.Run(name, func() {
			path := s.write(c.text)
			m, err := manifest.Read(path)
			s.Require().ErrorIs(err, registry.ErrInvalid)
			s.Require().ErrorContains(err, c.names)
			s.Require().ErrorContains(err, path)
			s.Require().Zero(m)

			m, err = manifest.Parse([]byte(c.text))
			s.Require().ErrorIs(err, registry.ErrInvalid)
			s.Require().Zero(m)
		})
	}
}

func (s *manifestSuite) TestWhatOnlyLooksLikeHalfASurrogatePairIsRead() {
	for text, want := range map[string]string{`\ud83d\uDE00`: "😀", `\\ud83d`: `\ud83d`, `\\\u00fc`: `\ü`, `\ufffd`: "\ufffd", `\"ud83d`: `"ud83d`} {
		m, err := manifest.Parse([]byte(`{"id":"a","name":"` + text + `","version":"1","kind":"wasm"}`))
		s.Require().NoError(err, text)
		s.Require().Equal(want, m.Name, text)
	}
}

func (s *manifestSuite) TestAMissingFileIsNotExistAndNamed() {
	folder := s.T().TempDir()
	for given, named := range map[string]string{
		filepath.Join(folder, "absent"): filepath.Join(folder, "absent"),
		folder:                          filepath.Join(folder, manifest.FileName),
	} {
		_, err := manifest.Read(given)
		s.Require().ErrorIs(err, fs.ErrNotExist)
		s.Require().NotErrorIs(err, registry.ErrInvalid)
		s.Require().ErrorContains(err, named)
	}
}

func (s *manifestSuite) TestTheLargestManifestIsReadAndOneByteMoreIsNot() {
	text := `{"id":"a","name":"A","version":"1","kind":"wasm"}`
	text += strings.Repeat(" ", manifest.MaxSize-len(text))
	_, err := manifest.Read(s.write(text))
	s.Require().NoError(err)
	_, err = manifest.Read(s.write(text + " "))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	_, err = manifest.Parse([]byte(text + " "))
	s.Require().ErrorIs(err, registry.ErrInvalid)
}

func (s *manifestSuite) TestAnUnknownKindThatIsLongIsNotQuotedWhole() {
	_, err := manifest.Parse([]byte(`{"id":"a","name":"A","version":"1","kind":"` + strings.Repeat("k", 1<<16) + `"}`))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().Less(len(err.Error()), 200)
}

func (s *manifestSuite) TestTheRegistryStoresItsMetadata() {
	reg := registrytest.Open(s.T())
	m, err := manifest.Read(filepath.Join(testdata, "petstore"))
	s.Require().NoError(err)
	_, err = reg.UpsertModule(s.T().Context(), m.Metadata(), registry.StateLoaded)
	s.Require().NoError(err)
	record, err := reg.GetModule(s.T().Context(), "petstore")
	s.Require().NoError(err)
	s.Require().Equal(m.Metadata(), record.ModuleMetadata)
	s.Require().Equal("Pet Store", record.Name)
}

// write makes a file with that text.
func (s *manifestSuite) write(text string) string {
	path := filepath.Join(s.T().TempDir(), manifest.FileName)
	s.Require().NoError(os.WriteFile(path, []byte(text), 0o600))
	return path
}
