package tests

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// roleUmask opens a new registry with umask 0, writes, and waits for a line before it closes.
func roleUmask(args []string) error {
	clearUmask()
	reg, err := modeNamed(args[0]).open(background, args[1])
	if err != nil {
		return err
	}
	if _, err := reg.SetConfig(background, "greeting", 1); err != nil {
		return err
	}
	saying("filled")
	hearing().Scan()
	return reg.Close()
}

// roleOpen opens a registry and says what came of it.
func roleOpen(args []string) error {
	var opts []registry.Option
	if strings.Contains(args[2], "read-only") {
		opts = append(opts, registry.WithReadOnly())
	}
	if strings.Contains(args[2], "must-exist") {
		opts = append(opts, registry.WithMustExist())
	}
	reg, err := modeNamed(args[0]).open(background, args[1], opts...)
	if err == nil {
		defer reg.Close()
		_, err = registry.Get[int](background, reg, "greeting")
	}
	for _, known := range []struct {
		err  error
		name string
	}{
		{nil, "filled"}, {registry.ErrReadOnly, "ErrReadOnly"}, {fs.ErrPermission, "fs.ErrPermission"},
	} {
		if errors.Is(err, known.err) {
			saying(known.name)
			return nil
		}
	}
	saying("another error")
	return nil
}
