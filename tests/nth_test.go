package tests

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// failNthVar is what the shim looks for: "io N PREFIX" or "open N PREFIX" (testdata/faults).
const failNthVar = "STATEREGISTRY_TEST_FAIL_NTH"

// needFaults skips the test if no library can be preloaded.
func needFaults(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("a library that is preloaded stands in for the disk: Linux only")
	}
}

// buildFaults compiles the library that lets the disk fail, and returns its path.
func buildFaults(t *testing.T) string {
	t.Helper()
	shim := filepath.Join(t.TempDir(), "faults.so")
	compiler := []string{"cc"}
	if set := strings.Fields(os.Getenv("CC")); len(set) > 0 { // with flags, as for another architecture
		compiler = set
	}
	built, err := exec.Command(compiler[0], append(compiler[1:], "-shared", "-fPIC", "-o", shim, "testdata/faults/faults.c", "-ldl")...).CombinedOutput()
	require.NoError(t, err, "%s", built)
	return shim
}

// One call of the operating system fails while a registry is opened, written and closed: each of them in its turn.
func TestOneFailureAnywhere(t *testing.T) {
	needFaults(t)
	shim := buildFaults(t)
	for _, kind := range []string{"io", "open"} {
		for _, start := range []string{"new", "delete", "wal", "oxide"} {
			t.Run(kind+" "+start, func(t *testing.T) {
				exe, err := os.Executable()
				require.NoError(t, err)
				cmd := exec.Command(exe, kind, start, t.TempDir())
				cmd.Env = append(cmd.Environ(), "LD_PRELOAD="+shim)
				t.Log(strings.Join(startCommand(t, "nth", cmd).wait(), "\n"))
			})
		}
	}
}

// roleNth lets the first call fail, then the second, and so on, each time with a file of its own, until all have failed.
func roleNth(args []string) error {
	kind, start, dir := args[0], args[1], args[2]
	failed, passed := 0, 0
	for n := 1; ; n++ {
		path := filepath.Join(dir, fmt.Sprint(n, ".db"))
		if err := makeFile(start, path); err != nil {
			return err
		}
		if err := os.Setenv(failNthVar, fmt.Sprintf("%s %d %s", kind, n, path)); err != nil {
			return err
		}
		opened, written, err := openAndWrite(path)
		if unset := os.Unsetenv(failNthVar); unset != nil {
			return unset
		}
		if err != nil {
			failed++
			saying(fmt.Sprint(n), err.Error())
		} else {
			passed++
		}
		// What SQLite says of it: "no such file", or that the file is read-only.
		if kind == "open" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, registry.ErrReadOnly)) {
			return fmt.Errorf("open %d: a wrong cause: %w", n, err)
		}
		if opened {
			if err := isWAL(path); err != nil {
				return fmt.Errorf("%s %d: Open returned nil: %w", kind, n, err)
			}
		}
		if err := isWhole(start, path, written); err != nil {
			return fmt.Errorf("%s %d: afterwards: %w", kind, n, err)
		}
		if _, hit := os.Stat(path + ".hit"); hit != nil {
			saying(fmt.Sprint(n-1), "calls", fmt.Sprint(failed), "errors")
			if n < 3 {
				return errors.New("the library met no calls")
			}
			return nil
		}
	}
}

// makeFile makes what is to be opened.
func makeFile(start, path string) error {
	if start == "new" {
		return nil
	}
	if start == "oxide" {
		text, err := os.ReadFile("testdata/oxide-k/plain.db")
		return errors.Join(err, os.WriteFile(path, text, 0o600))
	}
	reg, err := registry.Open(background, path)
	if err != nil {
		return err
	}
	_, err = reg.SetConfig(background, "before", 1)
	if err := errors.Join(err, reg.Close()); err != nil || start == "wal" {
		return err
	}
	pool, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		return err
	}
	_, err = pool.ExecContext(background, "PRAGMA journal_mode = DELETE")
	return errors.Join(err, pool.Close())
}

// openAndWrite opens a registry, writes and closes it. A write that failed is tried again: the failure is over then.
func openAndWrite(path string) (opened, written bool, err error) {
	reg, err := registry.Open(background, path)
	if err != nil {
		return false, false, err
	}
	_, err = reg.SetConfig(background, "written", 1)
	if err != nil {
		if _, again := reg.SetConfig(background, "written", 1); again != nil {
			return true, false, errors.Join(fmt.Errorf("a second write: %w", again), reg.Close())
		}
	}
	return true, true, errors.Join(err, reg.Close())
}

// isWAL reads from the file's header how it is written.
func isWAL(path string) error {
	header := make([]byte, 20)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Read(header); err != nil {
		return err
	}
	if header[18] != 2 || header[19] != 2 {
		return fmt.Errorf("the file is in rollback mode: %v", header[18:])
	}
	return nil
}

// isWhole opens what is there, without failures, and looks for what was written.
func isWhole(start, path string, written bool) error {
	reg, err := registry.Open(background, path)
	if err != nil {
		return err
	}
	defer reg.Close()
	keys := map[string]bool{"written": written, "before": start == "wal" || start == "delete"}
	for key, want := range keys {
		if !want {
			continue
		}
		if _, err := registry.Get[int](background, reg, key); err != nil {
			return err
		}
	}
	if report, err := reg.Verify(background); err != nil {
		return fmt.Errorf("%w: %v", err, report.Problems)
	}
	if err := reg.Close(); err != nil {
		return err
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if _, err := os.Stat(path + suffix); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is left", suffix)
		}
	}
	return nil
}
