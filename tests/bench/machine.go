package main

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mattn/go-sqlite3"
)

// machine is what the figures were measured on, and of.
type machine struct {
	day                        time.Time
	cpu, system, fileSystem    string
	cores                      int
	goVersion                  string
	mattnSQLite, moderncSQLite string
	modules                    []string // path and version
}

const unknown = "unknown"

// thisMachine asks Linux where it is Linux; elsewhere some of it is unknown.
func thisMachine(ctx context.Context, dir string) (machine, error) {
	m := machine{
		day: time.Now().UTC(), cpu: cpuModel(), cores: runtime.NumCPU(), system: systemName(), fileSystem: fileSystemOf(dir),
		goVersion: runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
	}
	m.mattnSQLite, _, _ = sqlite3.Version()
	memory, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return m, err
	}
	err = memory.QueryRowContext(ctx, "SELECT sqlite_version()").Scan(&m.moderncSQLite)
	m.modules = measuredModules()
	return m, errors.Join(err, memory.Close())
}

// measuredModules are those of the peers, as they were built in.
func measuredModules() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var modules []string
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/mattn/go-sqlite3", "github.com/tink-crypto/tink-go/v2", "gorm.io/gorm", "gorm.io/driver/sqlite",
			"go.etcd.io/bbolt", "github.com/dgraph-io/badger/v4", "modernc.org/sqlite":
			modules = append(modules, dep.Path+" "+dep.Version)
		}
	}
	return modules
}

func cpuModel() string { return field("/proc/cpuinfo", "model name", ":") }

func systemName() string {
	name := strings.Trim(field("/etc/os-release", "PRETTY_NAME", "="), `"`)
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		name += ", Linux " + strings.TrimSpace(string(kernel))
	}
	return name
}

// field is what stands behind a name in a file of lines "name: value".
func field(path, name, separator string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return unknown
	}
	for line := range strings.Lines(string(text)) {
		if before, after, found := strings.Cut(line, separator); found && strings.TrimSpace(before) == name {
			return strings.TrimSpace(after)
		}
	}
	return unknown
}

// fileSystemOf is the type of what is mounted at the folder, or nearest above it.
func fileSystemOf(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return unknown
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return unknown
	}
	nearest, name := "", unknown
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if len(fields) < 3 {
			continue
		}
		at := fields[1]
		if below := at == "/" || dir == at || strings.HasPrefix(dir, at+"/"); below && len(at) >= len(nearest) {
			nearest, name = at, fields[2]
		}
	}
	return name
}
