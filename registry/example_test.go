package registry_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing/fstest"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kernel")
	check(err)
	defer os.RemoveAll(dir)

	reg, err := registry.Open(ctx, filepath.Join(dir, "kernel.db"))
	check(err)
	defer reg.Close()

	mirror := registry.ModuleMetadata{ID: "oxide-mirror", Name: "Oxide Mirror", Version: "0.3.0", Kind: registry.KindNative}
	_, err = reg.UpsertModule(ctx, mirror, registry.StateLoaded)
	check(err)
	_, err = reg.TransitionModule(ctx, "oxide-mirror", registry.StateLoaded, registry.StateStarting)
	check(err)
	_, err = reg.SetConfig(ctx, "max_threads", 16)
	check(err)

	threads, err := registry.Get[int](ctx, reg, "max_threads")
	check(err)
	fmt.Println("max_threads:", threads)

	modules, err := reg.ListModules(ctx, registry.ByState(registry.StateStarting))
	check(err)
	for _, m := range modules {
		fmt.Println(m.Name, "is", m.State)
	}

	changes, err := reg.Changes(ctx, 0, 10)
	check(err)
	for _, c := range changes {
		fmt.Println(c.Revision, c.Op, c.Subject, c.Key)
	}
	// Output:
	// max_threads: 16
	// Oxide Mirror is starting
	// 1 put module oxide-mirror
	// 2 put module oxide-mirror
	// 3 put config max_threads
}

// The same, with values that are encrypted in the file: two lines more.
func ExampleOpenEncrypted() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kernel")
	check(err)
	defer os.RemoveAll(dir)

	check(os.Setenv("OXIDE_REGISTRY_KEY", "correct horse battery staple")) // whoever starts the kernel does that
	kek := keyset.FromEnv()
	reg, err := registry.OpenEncrypted(ctx, filepath.Join(dir, "kernel.db"), kek)
	check(err)
	defer reg.Close()

	_, err = reg.SetConfig(ctx, "api_token", "s3cr3t")
	check(err)
	token, err := registry.Get[string](ctx, reg, "api_token")
	check(err)
	fmt.Println("api_token:", len(token), "characters")
	// Output:
	// api_token: 6 characters
}

// A new primary key, all values encrypted under it anew, the old key gone; then another key-encryption key.
func ExampleRegistry_RotateKeyset() {
	ctx := context.Background()
	reg, err := registry.OpenEncrypted(ctx, registry.InMemory, keyset.RawKey(make([]byte, keyset.RawKeySize)))
	check(err)
	defer reg.Close()
	_, err = reg.SetConfig(ctx, "api_token", "s3cr3t")
	check(err)

	report, err := reg.RotateKeyset(ctx)
	check(err)
	fmt.Println(report.Reencrypted, "value under a new key,", len(report.Retired), "key retired")

	check(reg.Rewrap(ctx, keyset.Passphrase("correct horse battery staple")))
	info, err := reg.KeysetInfo(ctx)
	check(err)
	fmt.Println("generation", info.Generation, "of the keyset, under a", info.KEK)
	// Output:
	// 1 value under a new key, 1 key retired
	// generation 4 of the keyset, under a passphrase
}

// A key-encryption key that somebody else may know is revoked.
func ExampleRegistry_Rekey() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kernel")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kernel.db")
	old, fresh := make([]byte, keyset.RawKeySize), make([]byte, keyset.RawKeySize)
	_, _ = rand.Read(old) // it never fails
	_, _ = rand.Read(fresh)

	reg, err := registry.OpenEncrypted(ctx, path, keyset.RawKey(old))
	check(err)
	_, err = reg.SetConfig(ctx, "api_token", "s3cr3t")
	check(err)
	report, err := reg.Rekey(ctx, keyset.RawKey(fresh))
	check(err)
	fmt.Println(report.Entries, "value sealed anew, nothing left of before:", report.Scrubbed)
	_, err = reg.SetConfig(ctx, "api_token", "another one") // since somebody may have read the first
	check(err)
	check(reg.Close())

	_, err = registry.OpenEncrypted(ctx, path, keyset.RawKey(old))
	fmt.Println("the old key is the wrong one:", errors.Is(err, registry.ErrWrongKey))
	// Output:
	// 1 value sealed anew, nothing left of before: true
	// the old key is the wrong one: true
}

// A file that exists is turned once, by an act of its own.
func ExampleEncrypt() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kernel")
	check(err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "kernel.db")
	plain, err := registry.Open(ctx, path)
	check(err)
	_, err = plain.SetConfig(ctx, "api_token", "s3cr3t")
	check(err)
	check(plain.Close())

	kek := keyset.Passphrase("correct horse battery staple")
	_, err = registry.OpenEncrypted(ctx, path, kek)
	fmt.Println(errors.Is(err, registry.ErrNotEncrypted))

	report, err := registry.Encrypt(ctx, path, kek)
	check(err)
	fmt.Println(report.Entries, "entry encrypted")
	// Output:
	// true
	// 1 entry encrypted
}

// Both writes happen, or none.
func ExampleRegistry_Update() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, registry.InMemory)
	check(err)
	defer reg.Close()

	echo := registry.ModuleMetadata{ID: "echo", Name: "Echo", Version: "0.1.0", Kind: registry.KindWasm}
	install := func(port int) error {
		return reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			if _, err := tx.UpsertModule(ctx, echo, registry.StateLoaded); err != nil {
				return err
			}
			if port < 1024 {
				return fmt.Errorf("port %d is reserved", port)
			}
			_, err := tx.SetConfig(ctx, "echo.port", port)
			return err
		})
	}

	fmt.Println(install(80))
	_, err = reg.GetModule(ctx, "echo")
	fmt.Println(errors.Is(err, registry.ErrUnknownModule))

	fmt.Println(install(8080))
	revision, err := reg.Revision(ctx)
	fmt.Println(revision, err)
	// Output:
	// port 80 is reserved
	// true
	// <nil>
	// 2 <nil>
}

// A counter that no concurrent writer can make lose a step.
func ExampleModify() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, registry.InMemory)
	check(err)
	defer reg.Close()

	for range 3 {
		boots, err := registry.Modify(ctx, reg, "boots", func(n int, exists bool) (int, error) { return n + 1, nil })
		check(err)
		fmt.Println(boots)
	}
	// Output:
	// 1
	// 2
	// 3
}

// A write that demands that nobody wrote since the read it is based on.
func ExampleIfRevision() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, registry.InMemory)
	check(err)
	defer reg.Close()

	seen, err := reg.SetConfig(ctx, "leader", "a", registry.IfRevision(0)) // only where there is none
	check(err)
	_, err = reg.SetConfig(ctx, "leader", "b", registry.IfRevision(seen))
	check(err)

	_, err = reg.SetConfig(ctx, "leader", "c", registry.IfRevision(seen))
	if conflict, ok := errors.AsType[*registry.Error](err); ok && errors.Is(err, registry.ErrConflict) {
		fmt.Println("somebody was faster, at revision", conflict.Revision)
	}
	// Output:
	// somebody was faster, at revision 2
}

// A subsystem's tables live beside the registry's, and its queries run in the same transactions.
func ExampleWithMigrations() {
	ctx := context.Background()
	migrations := fstest.MapFS{ // an embed.FS of the subsystem's
		"migrations/00001_jobs.sql": {Data: []byte(`
			CREATE TABLE jobs (id TEXT PRIMARY KEY, module TEXT NOT NULL REFERENCES modules (id));
			CREATE TRIGGER jobs_log AFTER INSERT ON jobs BEGIN
				INSERT INTO changes (subject, key, op, at)
				VALUES ('jobs', NEW.id, 'put', strftime('%Y-%m-%dT%H:%M:%f000000+00:00', 'now'));
			END;`)},
	}
	reg, err := registry.Open(ctx, registry.InMemory, registry.WithMigrations("jobs", migrations))
	check(err)
	defer reg.Close()

	err = reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		echo := registry.ModuleMetadata{ID: "echo", Name: "Echo", Version: "0.1.0", Kind: registry.KindWasm}
		if _, err := tx.UpsertModule(ctx, echo, registry.StateRunning); err != nil {
			return err
		}
		// With sqlc: queries.InsertJob(ctx, tx, …)
		_, err := tx.ExecContext(ctx, "INSERT INTO jobs (id, module) VALUES (?, ?)", "job-1", "echo")
		return err
	})
	check(err)

	var jobs int
	check(reg.ReadDB().QueryRowContext(ctx, "SELECT count(*) FROM jobs").Scan(&jobs))
	changes, err := reg.Changes(ctx, 0, 10)
	check(err)
	fmt.Println(jobs, "job")
	for _, c := range changes {
		fmt.Println(c.Revision, c.Op, c.Subject, c.Key)
	}
	// Output:
	// 1 job
	// 1 put module echo
	// 2 put jobs job-1
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
