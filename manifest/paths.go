package manifest

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Paths says where a module's files are. A path is "" if the manifest names no such file.
type Paths struct {
	Binary string // if no file is there, the name in the manifest is that of a program on the PATH
	Skill  string
	MCP    string
}

// Paths returns the paths of m, joined with the folder that holds its module.json. A path that leads out of the folder, an absolute
// one among them, is registry.ErrInvalid, naming the field; so is one that holds a NUL.
//
// It goes by the names alone, and does not look whether the files are there: a symbolic link in the folder may still lead out of
// it. If the folder is not to be trusted, open the files through an os.Root.
func (m Manifest) Paths(folder string) (Paths, error) {
	var paths Paths
	for _, p := range []struct {
		name, path string
		joined     *string
	}{
		{"binary", m.Binary, &paths.Binary},
		{"skill", m.Skill, &paths.Skill},
		{"mcp", m.MCP, &paths.MCP},
	} {
		if p.path == "" {
			continue
		}
		if !filepath.IsLocal(p.path) || strings.ContainsRune(p.path, 0) {
			return Paths{}, fmt.Errorf("manifest: %w", invalid("field %q is %.64q, which is no path within the module's folder", p.name, p.path))
		}
		*p.joined = filepath.Join(folder, p.path)
	}
	return paths, nil
}
