package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReadmeShowsTheExamplesThatRun holds the README's examples against the packages', which go test runs.
func TestReadmeShowsTheExamplesThatRun(t *testing.T) {
	for path, names := range map[string][]string{
		"../registry/example_test.go":             {"Example", "ExampleOpenEncrypted"},
		"../registry/example_watch_test.go":       {"ExampleRegistry_Watch"},
		"../registry/example_restore_test.go":     {"ExampleRestore"},
		"../examples/decisionlog/example_test.go": {"Example"},
	} {
		source, err := os.ReadFile(path)
		require.NoError(t, err)
		files := token.NewFileSet()
		parsed, err := parser.ParseFile(files, path, source, parser.ParseComments)
		require.NoError(t, err)

		shown := 0
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || !slices.Contains(names, f.Name.Name) {
				continue
			}
			shown++
			body := string(source[files.Position(f.Body.Lbrace).Offset+1 : files.Position(f.Body.Rbrace).Offset])
			lines := strings.Split(strings.Trim(body, "\n"), "\n")
			for i := range lines {
				lines[i] = strings.TrimPrefix(lines[i], "\t")
			}
			require.Contains(t, readme(t), "```go\n"+strings.Join(lines, "\n")+"\n```\n")
		}
		require.Len(t, names, shown, path)
	}
}

// TestReadmeShowsTheExamplesSettings: the block of variables is the example's.
func TestReadmeShowsTheExamplesSettings(t *testing.T) {
	example, err := os.ReadFile("../registry/example_watch_test.go")
	require.NoError(t, err)
	_, block, found := strings.Cut(chapter(t, "Use it"), "### Settings\n\n```go\n")
	require.True(t, found)
	block, _, found = strings.Cut(block, "```")
	require.True(t, found)
	require.Contains(t, string(example), block)
}

// TestReadmeShowsTheSubsystemsSchema: each piece of SQL in the README is the subsystem's.
func TestReadmeShowsTheSubsystemsSchema(t *testing.T) {
	schema, err := os.ReadFile(subsystem + "/schema/00001_decisions.sql")
	require.NoError(t, err)
	pieces := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	require.NotEmpty(t, pieces)
	for _, piece := range pieces {
		require.Contains(t, string(schema), piece[1])
	}
}

// TestReadmeNamesTestsThatExist: each promise of the README names the tests that hold it.
func TestReadmeNamesTestsThatExist(t *testing.T) {
	_, table, found := strings.Cut(readme(t), "## What it promises")
	require.True(t, found)
	table, _, found = strings.Cut(table, "\n## ")
	require.True(t, found)

	existing := testNames(t)
	rows := 0
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| promise") {
			continue
		}
		rows++
		named := regexp.MustCompile("`(Test[A-Za-z0-9_/]+)`").FindAllStringSubmatch(line, -1)
		require.NotEmpty(t, named, "no test holds: %s", line)
		for _, name := range named {
			require.Contains(t, existing, name[1])
		}
	}
	require.Greater(t, rows, 10)
}

func readme(t *testing.T) string {
	text, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	return string(text)
}

// testNames are this module's tests: TestX, and TestX/TestY for the method of a suite that TestX runs.
func testNames(t *testing.T) map[string]bool {
	names := map[string]bool{}
	runs := regexp.MustCompile(`(?s)\nfunc (Test\w+)\(t \*testing\.T\) \{(.*?)\n\}`)
	suites := regexp.MustCompile(`&?(\w+[sS]uite)\{`)
	methods := regexp.MustCompile(`\nfunc \(\w+ \*(\w+)\) (Test\w+)\(\)`)
	ofSuite := map[string][]string{}
	var texts []string
	require.NoError(t, filepath.WalkDir("..", func(path string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		texts = append(texts, string(text))
		for _, m := range methods.FindAllStringSubmatch(string(text), -1) {
			ofSuite[m[1]] = append(ofSuite[m[1]], m[2])
		}
		return err
	}))
	for _, text := range texts {
		for _, run := range runs.FindAllStringSubmatch(text, -1) {
			names[run[1]] = true
			for _, s := range suites.FindAllStringSubmatch(run[2], -1) {
				for _, method := range ofSuite[s[1]] {
					names[run[1]+"/"+method] = true
				}
			}
		}
	}
	return names
}
