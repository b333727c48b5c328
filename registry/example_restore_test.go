package registry_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/oxide-k/stateregistry/registry"
)

func ExampleRestore() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "kernel")
	check(err)
	defer os.RemoveAll(dir)
	path, backup := filepath.Join(dir, "kernel.db"), filepath.Join(dir, "backup.db")

	reg, err := registry.Open(ctx, path)
	check(err)
	_, err = reg.SetConfig(ctx, "max_threads", 16)
	check(err)
	check(reg.Backup(ctx, backup))
	_, err = reg.DeleteConfig(ctx, "max_threads") // a mistake
	check(err)
	check(reg.Close()) // and in every other process

	report, err := registry.Restore(ctx, backup, path)
	check(err)
	fmt.Println(report.Config, "entry at revision", report.Revision)
	// Output:
	// 1 entry at revision 4294967298
}
