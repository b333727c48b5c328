package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A power loss may take any part of what was not synced before it. So the marker is durable before a name changes, the names of what was
// there before the new file has its own, and that one before the marker goes.
func TestARestoreSyncsInOrder(t *testing.T) {
	makes := &brokenRestoreSuite{}
	makes.SetT(t)
	makes.SetupSuite()
	for _, c := range restoreStarts {
		path := makes.start(c.prepare)
		if os.Geteuid() == 0 && c.healthy { // then the new file gets an owner, which is to be durable too
			for _, name := range append(names(t, filepath.Dir(path)), ".") {
				require.NoError(t, os.Chown(filepath.Join(filepath.Dir(path), name), 4001, 4001))
			}
		}
		calls := namedCalls(traceRole(t, "restore", makes.backup, path, "1000", c.name), path)
		requireSynced(t, calls, c.name)
		if os.Geteuid() == 0 && c.healthy {
			require.Contains(t, calls, "chown new file", c.name)
		}
	}
	for _, c := range restoreStarts[:3] {
		path := interrupted(makes, c.prepare, c.name)
		calls := namedCalls(traceRole(t, "restore", makes.other, path, "1000", c.name), path)
		requireSynced(t, calls, c.name+", interrupted")
	}
}

// interrupted returns the path of a registry of which a restore was killed before it put the new file there.
func interrupted(makes *brokenRestoreSuite, prepare func(string) error, name string) (path string) {
	t := makes.T()
	for n := 1; ; n++ {
		path := makes.start(prepare)
		c := startRole(t, "restore", makes.backup, path, strconv.Itoa(n), name)
		at := c.hear()
		c.kill()
		require.NotEqual(t, "done", at)
		if at == "put the new file there" {
			return path
		}
	}
}

// namedCalls returns the calls in the folder of a registry, with names for the files that say what they are.
func namedCalls(calls []fileCall, path string) (named []string) {
	dir, base := filepath.Split(path)
	name := func(path string) string {
		rel, err := filepath.Rel(dir, path)
		first, last, inside := strings.Cut(rel, "/")
		switch {
		case err != nil || strings.HasPrefix(rel, ".."):
			return ""
		case rel == ".":
			return "folder"
		case rel == base+"-restoring":
			return "marker"
		case strings.HasPrefix(first, ".stateregistry-") && inside:
			what := "new file"
			if strings.HasPrefix(first, ".stateregistry-marker-") {
				what = "new marker"
			}
			return what + strings.TrimLeft(strings.TrimPrefix(last, "database-"), "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
		case strings.HasPrefix(rel, base+".before-restore-"):
			return "kept" + rel[strings.LastIndex(rel, "Z")+1:]
		case strings.HasPrefix(rel, base):
			return "file" + strings.TrimPrefix(rel, base)
		}
		return ""
	}
	for _, c := range calls {
		if c.path, c.to = name(c.path), name(c.to); c.path != "" {
			named = append(named, c.String())
		}
	}
	return named
}

// requireSynced requires that what a restore did is durable in its order.
func requireSynced(t *testing.T, calls []string, what string) {
	t.Helper()
	all := what + ":\n" + strings.Join(calls, "\n")
	only := func(call string) int {
		at := slices.Index(calls, call)
		require.GreaterOrEqual(t, at, 0, "no %q in %s", call, all)
		require.NotContains(t, calls[at+1:], call, all)
		return at
	}
	// synced requires that of the calls before one the last that matches has a sync after it.
	synced := func(before int, sync string, matches func(call string) bool) {
		t.Helper()
		last := -1
		for i, call := range calls[:before] {
			if matches(call) {
				last = i
			}
		}
		if last >= 0 {
			require.Contains(t, calls[last+1:before], sync, "between %q and %q in %s", calls[last], calls[before], all)
		}
	}
	is := func(calls ...string) func(string) bool {
		return func(call string) bool { return slices.Contains(calls, call) }
	}
	isName := func(call string) bool {
		_, of, _ := strings.Cut(call, " ")
		return !strings.HasPrefix(call, "write") && !strings.HasPrefix(call, "sync") && strings.HasPrefix(of, "file")
	}

	placed := only("rename new marker -> marker")
	published := only("rename new file -> file")
	removed := only("remove marker")
	require.Less(t, placed, published, all)
	require.Less(t, published, removed, all)
	require.Contains(t, calls[:placed], "write new marker", all)
	synced(placed, "sync new marker", is("write new marker"))
	moved := published
	for i, call := range calls[placed:published] {
		if isName(call) {
			moved = placed + i
			break
		}
	}
	synced(moved, "sync folder", is("rename new marker -> marker"))
	synced(moved, "sync file", is("write file"))
	for _, call := range calls[:placed] {
		require.False(t, strings.HasPrefix(call, "rename file"), "%q before the marker in %s", call, all)
	}
	// Also what SQLite did, and the owner that the file got.
	synced(published, "sync new file", func(call string) bool {
		return strings.Contains(call, "new file") && !strings.HasPrefix(call, "sync")
	})
	synced(published, "sync folder", isName)
	synced(removed, "sync folder", is("rename new file -> file"))
	require.Contains(t, calls[removed:], "sync folder", all)
}
