package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"

	"github.com/oxide-k/stateregistry/registry"
)

// FileName is what a manifest is called in its module's folder.
const FileName = "module.json"

// MaxSize is the largest manifest that is read, in bytes.
const MaxSize = 1 << 20

// Manifest is what a module.json says. Paths are as the file has them, relative to its folder; filepath.IsLocal tells
// whether one stays inside it.
type Manifest struct {
	ID          string              // "id": the module's id in the registry
	Name        string              // "name": what people call it
	Version     string              // "version": a semantic version, which is not checked
	Kind        registry.ModuleKind // "kind": "native" or "wasm"
	Description *string             // "description"; nil: none
	SpecKind    string              // "spec_kind": what it was generated from, "openapi", "graphql" or "grpc"; "": not said
	Binary      string              // "binary": the name of its command-line program; "": none
	Skill       string              // "skill": the path of its skill descriptor; "": none
	MCP         string              // "mcp": the path of its MCP configuration; "": none
	BaseURL     string              // "base_url": where its client connects by default; "": not said
	Operations  []string            // "operations": the ids of what it can do; nil: none
}

// Read reads the manifest at path: a module.json, or the folder that holds one. A file that is missing is
// fs.ErrNotExist; one that is no manifest, or has more than [MaxSize] bytes, is registry.ErrInvalid, and the error names
// the file and the field.
func Read(path string) (Manifest, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, FileName)
	}
	data, err := readFile(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	m, err := parse(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %q: %w", path, err)
	}
	return m, nil
}

// Parse reads a manifest from its text. What it refuses is registry.ErrInvalid. The metadata of what it returns is valid
// for the registry.
func Parse(data []byte) (Manifest, error) {
	m, err := parse(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// Metadata is what the registry stores of m.
func (m Manifest) Metadata() registry.ModuleMetadata {
	return registry.ModuleMetadata{ID: m.ID, Name: m.Name, Version: m.Version, Kind: m.Kind, Description: m.Description}
}

// readFile reads one byte more than is allowed at most, for parse to see.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, MaxSize+1))
}

func parse(data []byte) (Manifest, error) {
	switch {
	case len(data) > MaxSize:
		return Manifest{}, invalid("it has more than %d bytes", MaxSize)
	case !utf8.Valid(data): // encoding/json would replace the bad bytes
		return Manifest{}, invalid("it is not UTF-8")
	}
	var fields map[string]json.RawMessage // a struct would take "ID" for "id"
	if err := json.Unmarshal(data, &fields); err != nil {
		return Manifest{}, malformed(data, err)
	}
	if fields == nil {
		return Manifest{}, invalid("it is JSON, but no object")
	}
	var m Manifest
	for _, field := range []struct {
		name     string
		dst      any
		required bool
	}{
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
	} {
		value := fields[field.name]
		if value == nil || string(value) == "null" {
			if field.required {
				return Manifest{}, invalid("field %q is missing", field.name)
			}
			continue
		}
		if json.Unmarshal(value, field.dst) != nil {
			want := "a string"
			if _, list := field.dst.(*[]string); list {
				want = "a list of strings"
			}
			return Manifest{}, invalid("field %q is not %s", field.name, want)
		}
	}
	return m, m.Metadata().Validate()
}

// malformed says where the text stops being JSON.
func malformed(data []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return invalid("it is JSON, but no object")
	}
	before := data[:max(syntax.Offset-1, 0)] // Offset counts the byte that is wrong
	return invalid("line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", registry.ErrInvalid, fmt.Errorf(format, args...))
}
