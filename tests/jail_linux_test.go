package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// A container with a read-only root and a volume for the data: the only folder that can be written is the database's own.
func TestNoFolderForTemporaryFiles(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root may change the root folder")
	}
	root, err := os.MkdirTemp("", "stateregistry-jail-*") // t.TempDir's folders are root's alone
	require.NoError(t, err)
	defer os.RemoveAll(root)
	require.NoError(t, os.Chmod(root, 0o755))
	data := filepath.Join(root, "data")
	require.NoError(t, os.Mkdir(data, 0o700))
	require.NoError(t, os.Chown(data, nobody, nobody))
	t.Log(startRole(t, "jailed", root).wait())
	require.ElementsMatch(t, []string{"copy.db", "x.db"}, names(t, data))
}

func roleJailed(args []string) error {
	err := errors.Join(syscall.Chroot(args[0]), os.Chdir("/"), becomeNobody(), os.Unsetenv("TMPDIR"))
	if err != nil {
		return err
	}
	const path = "/data/x.db"
	reg, err := registry.Open(background, path)
	if err != nil {
		return err
	}
	large := func(reg *registry.Registry) error {
		for i := range 30 {
			_, err := reg.SetConfig(background, fmt.Sprint(i%3), strings.Repeat(fmt.Sprint(i), 300<<10))
			if err != nil {
				return err
			}
		}
		return reg.Update(background, func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE config SET updated_at = updated_at || ''")
			return err
		})
	}
	if err := large(reg); err != nil {
		return fmt.Errorf("large values: %w", err)
	}
	if _, err := reg.Compact(background); err != nil {
		return err
	}
	if err := reg.Close(); err != nil {
		return err
	}
	if _, err := registry.Encrypt(background, path, kekOf(1)); err != nil {
		return err
	}
	if reg, err = openKEK1(background, path); err != nil {
		return err
	}
	if err := large(reg); err != nil {
		return fmt.Errorf("large values, encrypted: %w", err)
	}
	if _, err := reg.RotateKeyset(background); err != nil {
		return err
	}
	if _, err := reg.Verify(background); err != nil {
		return err
	}
	return errors.Join(reg.Backup(background, "/data/copy.db"), reg.Close())
}

// roleVisitor reads as another user, in three ways, at each line until one says close.
func roleVisitor(args []string) error {
	if err := becomeNobody(); err != nil {
		return err
	}
	reg, err := registry.Open(background, args[0], registry.WithReadOnly())
	if errors.Is(err, registry.ErrReadOnly) {
		saying("read-only")
		return nil
	}
	if err != nil {
		return err
	}
	ways := []func() (int, error){
		func() (int, error) { return registry.Get[int](background, reg, "a") },
		func() (value int, err error) {
			err = reg.View(background, func(ctx context.Context, tx *registry.Tx) error {
				value, err = registry.Get[int](ctx, tx, "a")
				return err
			})
			return value, err
		},
		func() (value int, err error) {
			err = reg.ReadDB().QueryRowContext(background, "SELECT value FROM config WHERE key = 'a'").Scan(&value)
			return value, err
		},
	}
	for lines := hearing(); lines.Scan() && lines.Text() == "read"; {
		var answers []string
		for _, way := range ways {
			value, err := way()
			switch {
			case errors.Is(err, registry.ErrReplaced):
				answers = append(answers, "replaced")
			case err != nil:
				return err
			default:
				answers = append(answers, fmt.Sprint(value))
			}
		}
		saying(answers...)
	}
	return reg.Close()
}
