package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "kernel:", err)
		os.Exit(1)
	}
}

// The files of a demo. The mark says that the others are a demo's, and may go when the next one begins.
const (
	registryFile = "registry.db"
	backupFile   = "backup.db"
	keyFile      = "registry.key"
	markFile     = "DEMO"
)

func run(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) == 2 && args[0] == actArgument {
		return act(ctx, args[1])
	}
	flags := flag.NewFlagSet("kernel", flag.ContinueOnError)
	dir := flags.String("dir", "demo", "the `folder` to make, or an earlier demo's to make anew")
	from := flags.String("from", "tests/testdata/oxide-k/plain.db", "the oxide-k `database` to start from; it is copied")
	manifests := flags.String("manifests", "tests/testdata/manifests", "the `folder` of the modules to register")
	flags.SetOutput(io.Discard) // main prints the error
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		flags.SetOutput(stdout)
		flags.Usage()
		return nil
	}
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		return err
	}

	original, err := os.ReadFile(*from)
	if err != nil {
		return fmt.Errorf("-from: %w (the default is meant for the repository's root)", err)
	}
	if err := clearDemo(*dir); err != nil {
		return err
	}
	path := filepath.Join(*dir, registryFile)
	if err := os.WriteFile(path, original, 0o600); err != nil {
		return err
	}

	fmt.Fprintln(stdout, "A kernel boots its state registry, and says what it does.")
	heading(stdout, "A database that oxide-k wrote")
	fmt.Fprintf(stdout, "%s is a copy of %s.\n", path, *from)
	k := kernel{manifests: *manifests, backup: filepath.Join(*dir, backupFile), out: stdout}
	if err := k.boot(ctx, path); err != nil {
		return err
	}
	if err := restore(ctx, path, k.backup, stdout); err != nil {
		return err
	}
	if err := secure(ctx, path, filepath.Join(*dir, keyFile), stdout); err != nil {
		return err
	}
	heading(stdout, "Look for yourself")
	fmt.Fprintf(stdout, "Closed: all of it is in the one file %s.\n", path)
	for _, query := range []string{
		"SELECT id, kind, state, revision FROM modules",
		"SELECT substr(value, 1, 16) AS marker, count(*) FROM config GROUP BY 1",
		"SELECT timestamp, actor, action, rationale FROM xai_decisions",
		"SELECT set_name, name, applied_at FROM migrations",
	} {
		fmt.Fprintf(stdout, "  sqlite3 -box %s \"%s\"\n", path, query)
	}
	return nil
}

// clearDemo makes the folder ready for a demo. It removes an earlier demo's files, and never anybody else's.
func clearDemo(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	mark := filepath.Join(dir, markFile)
	if _, err := os.Lstat(mark); errors.Is(err, fs.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("-dir: %w", err)
		}
		if len(entries) > 0 {
			return fmt.Errorf("-dir: %q is neither empty nor an earlier demo: choose another", dir)
		}
		return os.WriteFile(mark, []byte("Made by examples/kernel, which makes it anew when it runs again.\n"), 0o600)
	} else if err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	files, err := fs.Glob(os.DirFS(dir), registryFile+".before-restore-*")
	if err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	for _, file := range append(files, registryFile, backupFile, keyFile) {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			err := os.Remove(filepath.Join(dir, file+suffix))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("-dir: %w", err)
			}
		}
	}
	return nil
}
