package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// systemRoles returns the roles that need what only some systems have.
func systemRoles() map[string]role {
	return map[string]role{
		"descriptors": roleDescriptors,
		"privileges":  rolePrivileges,
		"jailed":      roleJailed,
		"visitor":     roleVisitor,
		"restoring":   roleRestoring,
	}
}

// A process runs out of descriptors for a while: before it opens a registry, and between opening it and each kind of call.
func TestRunningOutOfDescriptors(t *testing.T) {
	for _, start := range []string{"new", "delete", "wal"} {
		t.Run(start, func(t *testing.T) {
			t.Log(startRole(t, "descriptors", start, t.TempDir()).wait())
		})
	}
}

// roleDescriptors tries with no free descriptor, with one, and so on, until opening succeeds.
func roleDescriptors(args []string) error {
	start, dir := args[0], args[1]
	const limit = 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}); err != nil {
		return err
	}
	for free := 0; ; free++ {
		path := filepath.Join(dir, fmt.Sprint(free, ".db"))
		if err := makeFile(start, path); err != nil {
			return err
		}
		release, err := useUp(free)
		if err != nil {
			return err
		}
		reg, err := registry.Open(background, path)
		if err != nil {
			release()
			if !errors.Is(err, syscall.EMFILE) || errors.Is(err, os.ErrNotExist) || errors.Is(err, registry.ErrReadOnly) {
				return fmt.Errorf("%d free: %w", free, err)
			}
			if err := isWhole(start, path, false); err != nil {
				return fmt.Errorf("%d free: afterwards: %w", free, err)
			}
			continue
		}
		release()
		saying("opened with", strconv.Itoa(free))
		if err := errors.Join(withoutDescriptors(reg), reg.Close(), isWhole(start, path, true)); err != nil {
			return err
		}
		return nil
	}
}

// useUp leaves free descriptors.
func useUp(free int) (release func(), err error) {
	var used []int
	for {
		fd, err := syscall.Dup(0)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		if err != nil {
			return nil, err
		}
		used = append(used, fd)
	}
	if len(used) < free {
		return nil, errors.New("the limit is too low")
	}
	for range free {
		_ = syscall.Close(used[len(used)-1])
		used = used[:len(used)-1]
	}
	return func() {
		for _, fd := range used {
			_ = syscall.Close(fd)
		}
	}, nil
}

// withoutDescriptors uses a registry that was just opened while no descriptor is left: reads and writes need none, Views are
// refused with the reason, and all is well again once there are some.
func withoutDescriptors(reg *registry.Registry) error {
	release, err := useUp(0)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make(chan error, 100)
	for range 8 {
		group.Go(func() {
			for range 10 {
				if _, err := reg.Revision(background); err != nil {
					failed <- fmt.Errorf("reading: %w", err)
					return
				}
			}
		})
	}
	group.Wait()
	if _, err := reg.SetConfig(background, "written", 1); err != nil && !errors.Is(err, syscall.EMFILE) {
		failed <- fmt.Errorf("writing: %w", err) // (the first write syncs the folder)
	}
	for range 4 {
		err := reg.View(background, func(context.Context, *registry.Tx) error { // uses the one connection that there is
			err := reg.View(background, func(context.Context, *registry.Tx) error { return nil })
			if !errors.Is(err, syscall.EMFILE) {
				return fmt.Errorf("a second View: %w", err)
			}
			return nil
		})
		if err != nil {
			failed <- err
		}
	}
	release()
	if _, err := reg.SetConfig(background, "written", 1); err != nil {
		failed <- fmt.Errorf("writing again: %w", err)
	}
	err = reg.View(background, func(context.Context, *registry.Tx) error {
		return reg.View(background, func(context.Context, *registry.Tx) error { return nil })
	})
	if err != nil {
		failed <- err
	}
	close(failed)
	var all []error
	for err := range failed {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// A registry that was opened with privileges works on without them: not as fast, and no more than that is promised.
func TestPrivilegesAreDroppedAfterOpening(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root has privileges to drop")
	}
	dir := t.TempDir()
	t.Log(startRole(t, "privileges", filepath.Join(dir, "x.db")).wait())
	reg, err := registry.Open(t.Context(), filepath.Join(dir, "x.db"))
	require.NoError(t, err)
	value, err := registry.Get[int](t.Context(), reg, "key/99")
	require.NoError(t, err)
	require.Equal(t, 99, value)
	closeVerified(t, reg)
}

func rolePrivileges(args []string) error {
	reg, err := registry.Open(background, args[0])
	if err != nil {
		return err
	}
	if err := becomeNobody(); err != nil {
		return err
	}
	if _, err := os.Open(args[0]); !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("the file opens: %w", err)
	}
	var group sync.WaitGroup
	failed := make(chan error, 8)
	for worker := range 8 {
		group.Go(func() {
			for i := worker; i < 100; i += 8 {
				key := fmt.Sprint("key/", i)
				_, err := reg.SetConfig(background, key, i)
				if err == nil {
					_, err = registry.Get[int](background, reg, key)
				}
				if err == nil {
					err = reg.View(background, func(ctx context.Context, tx *registry.Tx) error {
						_, err := registry.Get[int](ctx, tx, key)
						return err
					})
				}
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failed)
	for err := range failed {
		return err
	}
	return reg.Close()
}

const nobody = 65534

// becomeNobody drops root's privileges.
func becomeNobody() error {
	return errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
}
