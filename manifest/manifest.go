package manifest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/oxide-k/stateregistry/registry"
)

// FileName is what a manifest is called in its module's folder.
const FileName = "module.json"

// MaxSize is the largest manifest that is read, in bytes.
const MaxSize = 1 << 20

// Manifest is what a module.json says. Texts and paths are as the file has them; [Manifest.Paths] joins the paths with the
// file's folder.
type Manifest struct {
	ID           string              // "id": the module's id in the registry
	Name         string              // "name": what people call it
	Version      string              // "version": a semantic version, which is not checked
	Kind         registry.ModuleKind // "kind": "native" or "wasm"
	Description  *string             // "description"; nil: none
	SpecKind     string              // "spec_kind": what it was generated from, "openapi", "graphql" or "grpc"; "": not said
	Binary       string              // "binary": its command-line program, in its folder or on the PATH; "": none
	Skill        string              // "skill": the path of its skill descriptor; "": none
	MCP          string              // "mcp": the path of its MCP configuration; "": none
	BaseURL      string              // "base_url": where its client connects by default; "": not said
	Operations   []string            // "operations": the ids of what it can do; nil: none
	Capabilities []string            // "capabilities": what the kernel's message bus is to grant it; nil: none

	// Extra holds the fields that this package does not know, by their names, each value as the file has it; nil: none.
	Extra map[string]json.RawMessage
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
// for the registry, and the manifest keeps no reference to data.
func Parse(data []byte) (Manifest, error) {
	m, err := parse(data)
	if err != nil {
		return Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// Metadata returns what the registry stores of m.
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
