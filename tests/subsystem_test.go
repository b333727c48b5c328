package tests

import (
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const subsystem = "../examples/decisionlog"

var sqlc = flag.String("sqlc", "", "the `command` that runs sqlc, as make verify gives it")

// TestACopiedSubsystemWorks runs the commands of the README's chapter, but for the copy's place, and without a db/ to begin
// with: sqlc makes the same one there.
func TestACopiedSubsystemWorks(t *testing.T) {
	// sqlc takes minutes to compile, more than the rest of the tests. make verify, which CI runs, needs it anyway, and gives
	// this test the one that it has; go test alone must not wait for it.
	if *sqlc == "" {
		t.Skip("make verify runs it: sqlc takes minutes to compile")
	}
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	_, commands, found := strings.Cut(chapter(t, "A subsystem of your own"), "```sh\n")
	require.True(t, found)
	commands, _, found = strings.Cut(commands, "```")
	require.True(t, found)
	replaceOnce := func(old, new string, times int) {
		require.Equal(t, times, strings.Count(commands, old), "%s in: %s", old, commands)
		commands = strings.ReplaceAll(commands, old, new)
	}
	replaceOnce("../decisionlog\n", "\"$COPY\"\n", 2)
	replaceOnce("\nmake generate ", "\nrm -rf .core db\nmake generate ", 1)
	want := filesIn(t, subsystem)

	place := filepath.Join(t.TempDir(), "a copy")
	cmd := exec.CommandContext(t.Context(), program(t, "sh"), "-eux", "-c", commands)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "COPY="+place, "GOWORK=off", "SQLC="+*sqlc)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "\nok  \texample.com/decisionlog\t", "its tests have run")

	have := filesIn(t, place)
	generated := 0
	for path, text := range want {
		if !strings.HasPrefix(path, "db/") {
			continue
		}
		generated++
		require.Equal(t, text, have[path], path)
	}
	require.Equal(t, 3, generated)
	require.Len(t, have, len(want), "nothing is left over")
}

func TestTheSubsystemUsesThePinnedSqlc(t *testing.T) {
	version := func(path, pattern string) string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		found := regexp.MustCompile(pattern).FindAllSubmatch(text, -1)
		require.Len(t, found, 1, path)
		return string(found[0][1])
	}
	pinned := version("../tools/go.mod", `github\.com/sqlc-dev/sqlc (v\S+)`)
	require.Equal(t, pinned, version(subsystem+"/Makefile", `github\.com/sqlc-dev/sqlc/cmd/sqlc@(v\S+)`))
}

// A query of the subsystem's that reads the registry's tables gets the registry's types.
func TestTheSubsystemRepeatsTheOverrides(t *testing.T) {
	overrides := func(path string) []string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return regexp.MustCompile(`- column: .*\n +go_type:\n +import: .*\n +type: .*\n`).FindAllString(string(text), -1)
	}
	core := overrides("../sqlc.yaml")
	require.NotEmpty(t, core)
	require.Subset(t, overrides(subsystem+"/sqlc.yaml"), core)
}

// chapter is a chapter of the README.
func chapter(t *testing.T, heading string) string {
	t.Helper()
	_, text, found := strings.Cut(readme(t), "\n## "+heading+"\n")
	require.True(t, found, heading)
	text, _, _ = strings.Cut(text, "\n## ")
	return text
}

// filesIn are the files in a folder, by their path in it. Links are left out.
func filesIn(t *testing.T, folder string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		texts[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return texts
}
