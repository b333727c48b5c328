package tests

import (
	"bytes"
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tink-crypto/tink-go/v2/testing/fakekms"

	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// The encrypted modes' ways to come by a registry, and the keys that open it: the same in all processes.

// opener opens the registry at a path, as registry.Open does.
type opener = func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error)

const (
	modePassphrase = "correct horse battery staple"
	// modeKMS is the URI of a key in Tink's fake of a KMS, which holds the key itself.
	modeKMS = "fake-kms://CMnezvYIElQKSAowdHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUuY3J5cHRvLnRpbmsuQWVzR2NtS2V5EhIaEPHtdNBYyRErbHw" +
		"AB8J83hMYARABGMnezvYIIAE"
	modeOxideKey = "s3cr3t-key" // of oxideEncrypted
)

//go:embed testdata/oxide-k/encrypted.db
var oxideEncryptedBytes []byte // embedded: children run in other folders

func modeRawKey() keyset.KEK { return keyset.RawKey(bytes.Repeat([]byte("raw key "), 4)) }

// modeCheapPassphrase costs as little as the registry allows. What the passphrase opens keeps the cost that it was made with.
func modeCheapPassphrase() keyset.KEK {
	return keyset.PassphraseAtCost(modePassphrase, kdf.Cost{Time: 1, MemoryKiB: 8 << 10, Threads: 1})
}

var encryptedXAES = encryptedWith(modeCheapPassphrase(), registry.WithKeyTemplate(keyset.XAES256GCM))

func modeFromKMS() keyset.KEK {
	cipher, err := fakekms.NewAEAD(modeKMS)
	if err != nil {
		return keyset.AEAD(modeKMS, nil) // which no opening takes
	}
	return keyset.AEAD(modeKMS, cipher)
}

// encryptedWith opens with a KEK. Options that the caller gives come last.
func encryptedWith(kek keyset.KEK, always ...registry.Option) opener {
	return func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
		return registry.OpenEncrypted(ctx, path, kek, append(always[:len(always):len(always)], opts...)...)
	}
}

// maker makes a registry without entries in a file that is missing.
type maker func(ctx context.Context, path string, opts []registry.Option) error

// madeBy has a registry that is new made by another way than open. One that is made without options is the same each time.
func madeBy(make maker, open opener) opener {
	usual := sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "stateregistry-mode-*")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "x.db")
		if err := make(background, file, nil); err != nil {
			return nil, err
		}
		return os.ReadFile(file)
	})
	return func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
		if path != registry.InMemory && isMissing(path) {
			if err := place(ctx, path, opts, usual, make); err != nil {
				return nil, err
			}
		}
		return open(ctx, path, opts...)
	}
}

// place makes a registry at path: all of it at once, as processes that come at the same moment demand. Where an opening
// would make none (the options demand a file, or make no sense; the folder is missing; another process was faster) it
// makes none either: what opens the path then says so.
func place(ctx context.Context, path string, opts []registry.Option, usual func() ([]byte, error), make maker) error {
	probe, err := registry.Open(ctx, registry.InMemory, opts...)
	if err != nil {
		return nil
	}
	if err := probe.Close(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "stateregistry-mode-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "x.db")
	if len(opts) > 0 {
		err = make(ctx, file, opts)
	} else if data, failed := usual(); failed != nil {
		err = failed
	} else {
		err = os.WriteFile(file, data, 0o600)
	}
	if err != nil {
		return err
	}
	err = publish(file, path)
	for _, expected := range []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, expected) {
			return nil
		}
	}
	return err
}

// publish copies a file to a path that nothing has.
func publish(from, path string) (err error) {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	work, err := dbfile.NewWorkspace(filepath.Dir(path), "mode")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, work.Remove()) }()
	f, err := work.Create()
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	made, failed := f.Stat()
	if err := errors.Join(err, failed, f.Close()); err != nil {
		return err
	}
	_, err = work.Publish(made, filepath.Base(path))
	return err
}

// rotatedFirst makes an encrypted registry and rotates its keyset.
func rotatedFirst(open opener) maker {
	return func(ctx context.Context, path string, opts []registry.Option) error {
		reg, err := open(ctx, path, opts...)
		if err != nil {
			return err
		}
		_, err = reg.RotateKeyset(ctx, registry.RotateTo(keyset.AES256GCM))
		return errors.Join(err, reg.Close())
	}
}

// plainFirst makes a plaintext registry and encrypts it.
func plainFirst(kek keyset.KEK) maker {
	return func(ctx context.Context, path string, opts []registry.Option) error {
		reg, err := registry.Open(ctx, path, opts...)
		if err != nil {
			return err
		}
		if err := reg.Close(); err != nil {
			return err
		}
		_, err = registry.Encrypt(ctx, path, kek, opts...)
		return err
	}
}

// oxideFirst encrypts a database of oxide-k's whose rows were deleted: what is left of them is in its free space.
func oxideFirst(kek keyset.KEK) maker {
	return func(ctx context.Context, path string, opts []registry.Option) error {
		if err := os.WriteFile(path, oxideEncryptedBytes, 0o600); err != nil {
			return err
		}
		pool, err := sql.Open("sqlite3", sqliteURI(path, ""))
		if err != nil {
			return err
		}
		for _, table := range []string{"modules", "config"} {
			if _, err := pool.ExecContext(ctx, "DELETE FROM "+table); err != nil {
				return errors.Join(err, pool.Close())
			}
		}
		if err := pool.Close(); err != nil {
			return err
		}
		_, err = registry.Encrypt(ctx, path, kek, append(opts[:len(opts):len(opts)], registry.WithOxideKey(modeOxideKey))...)
		return err
	}
}

func isMissing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, fs.ErrNotExist)
}
