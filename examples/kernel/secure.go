package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// passphrase opens the demo's registry first. A kernel gets its own from keyset.FromEnv, or from a person.
const passphrase = "correct horse battery staple"

// secure encrypts the registry at path, which nobody may have open, rotates its keys, and then revokes its key-encryption
// key for another, which it leaves in keyFile.
func secure(ctx context.Context, path, keyFile string, out io.Writer) error {
	heading(out, "Encrypt")
	report, err := registry.Encrypt(ctx, path, keyset.Passphrase(passphrase))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d config entries are encrypted, and no plaintext of them is left in the file; the backup still has it\n",
		report.Entries)
	if err := withoutKey(ctx, path, out); err != nil {
		return err
	}
	reg, err := registry.OpenEncrypted(ctx, path, keyset.Passphrase(passphrase))
	if err != nil {
		return err
	}
	return errors.Join(changeKeys(ctx, reg, path, keyFile, out), reg.Close())
}

// withoutKey shows what somebody sees who has the file and no key.
func withoutKey(ctx context.Context, path string, out io.Writer) error {
	reg, err := registry.Open(ctx, path)
	if err != nil {
		return err
	}
	_, err = registry.Get[string](ctx, reg, "api_token")
	return errors.Join(showRefusal(out, err, registry.ErrEncrypted), reg.Close())
}

// changeKeys goes through the life of a key.
func changeKeys(ctx context.Context, reg *registry.Registry, path, keyFile string, out io.Writer) error {
	token, err := registry.Get[string](ctx, reg, "api_token")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "with the passphrase api_token is read: %d characters\n", len(token))

	heading(out, "Rotate: a new key, while others read and write")
	before, err := reg.Revision(ctx)
	if err != nil {
		return err
	}
	rotated, err := reg.RotateKeyset(ctx)
	if err != nil {
		return err
	}
	after, err := reg.Revision(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d entries are under key %08x now, key %08x is gone, and no revision came of it: %d, %d\n",
		rotated.Reencrypted, rotated.Primary, rotated.Retired, before, after)

	heading(out, "Rekey: the passphrase is revoked")
	key := make([]byte, keyset.RawKeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	if err := os.WriteFile(keyFile, key, 0o600); err != nil {
		return err
	}
	rekeyed, err := reg.Rekey(ctx, keyset.RawKey(key))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d entries are sealed anew under fresh keys; nothing of before is left in the file: %t\n",
		rekeyed.Entries, rekeyed.Scrubbed)
	info, err := reg.KeysetInfo(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "the keyset is at generation %d, under a %s, which is in %s\n", info.Generation, info.KEK, keyFile)
	_, err = registry.OpenEncrypted(ctx, path, keyset.Passphrase(passphrase))
	if err := showRefusal(out, err, registry.ErrWrongKey); err != nil {
		return err
	}
	verified, err := reg.Verify(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "verified: %d config entries, each opened and read\n", verified.Config)
	return nil
}
