package manifest_test

import (
	"path/filepath"

	"github.com/oxide-k/stateregistry/manifest"
	"github.com/oxide-k/stateregistry/registry"
)

func (s *manifestSuite) TestPathsAreJoinedWithTheFolder() {
	folder := filepath.Join(testdata, "petstore")
	m, err := manifest.Read(folder)
	s.Require().NoError(err)
	paths, err := m.Paths(folder)
	s.Require().NoError(err)
	s.Require().Equal(manifest.Paths{
		Binary: filepath.Join(folder, "petstore-cli"),
		Skill:  filepath.Join(folder, "SKILL.md"),
		MCP:    filepath.Join(folder, "mcp.json"),
	}, paths)

	paths, err = manifest.Manifest{Skill: "./doc/../doc/SKILL.md"}.Paths(folder)
	s.Require().NoError(err)
	s.Require().Equal(manifest.Paths{Skill: filepath.Join(folder, "doc", "SKILL.md")}, paths, "what is not named stays empty")
}

func (s *manifestSuite) TestAPathOutOfTheFolderIsRefused() {
	for _, path := range []string{"..", "../x", "a/../../x", "/bin/sh", "./..", "a/../..", "x\x00"} {
		for name, m := range map[string]manifest.Manifest{"binary": {Binary: path}, "skill": {Skill: path}, "mcp": {MCP: path}} {
			paths, err := m.Paths("folder")
			s.Require().ErrorIs(err, registry.ErrInvalid, path)
			s.Require().ErrorContains(err, name)
			s.Require().Zero(paths)
		}
	}
}
