package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_/]+)`")

func doc(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/" + name)
	require.NoError(t, err)
	return string(text)
}

// TestThreatModelNamesTestsThatExist: each claim of the page names the tests that show it, and so do the other pages where
// they name one.
func TestThreatModelNamesTestsThatExist(t *testing.T) {
	holds, _, found := strings.Cut(doc(t, "threat-model.md"), "\n## What does not hold")
	require.True(t, found)
	claims := 0
	for line := range strings.Lines(holds) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| claim") {
			continue
		}
		claims++
		require.Regexp(t, namedTest, line, "no test shows it")
	}
	require.Greater(t, claims, 20)

	existing := testNames(t)
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	for _, page := range pages {
		for _, name := range namedTest.FindAllStringSubmatch(doc(t, filepath.Base(page)), -1) {
			require.True(t, existing[name[1]], "%s: %s", page, name[1])
		}
	}
}

// A link or a path that leads nowhere sends its reader away.
func TestDocsLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]*)(#[a-z0-9-]+)?\)`)
	folder := regexp.MustCompile("`((?:tests|docs|internal|registry|keyset|schema)/[a-z0-9/._-]+)`")
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	pages, err := filepath.Glob("../docs/*.md")
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for _, page := range pages {
		text := doc(t, filepath.Base(page))
		for _, m := range folder.FindAllStringSubmatch(text, -1) {
			require.FileExists(t, existingPath(t, filepath.Join("..", m[1])), page)
		}
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target := text
			if m[1] != "" {
				target = doc(t, m[1])
			}
			if m[2] == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(target, -1) {
				anchors = append(anchors, "#"+strings.ReplaceAll(strings.ToLower(h[1]), " ", "-"))
			}
			require.Contains(t, anchors, m[2], page)
		}
	}
}

// existingPath is a file at a path, or in the folder there.
func existingPath(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	if !info.IsDir() {
		return path
	}
	files, err := filepath.Glob(filepath.Join(path, "*.*"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files[0]
}
