package migrate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/schema"
)

// ApplicationID marks a file as a registry, in the header field that SQLite keeps for it: "oxrg" as a big-endian number
// (sqlite.org/pragma.html#pragma_application_id).
const ApplicationID = 0x6f787267

// core is the core's set, and what a database that has applied it up to some number must look like.
type core struct {
	set      Set
	versions map[int64]catalog // by number; 0 is oxide-k's own two tables
	last     int64
}

// loadCore builds each version once, in memory, from the migrations themselves: there is no second description of the
// schema that could drift.
func loadCore() (core, error) {
	if c := loaded.Load(); c != nil {
		return *c, nil
	}
	c, err := buildCore()
	if err == nil { // only then: what failed may work the next time
		loaded.Store(&c)
	}
	return c, err
}

var loaded atomic.Pointer[core]

func buildCore() (core, error) {
	set, err := load(CoreName, schema.Migrations)
	if err != nil {
		return core{}, err
	}
	ctx := context.Background()
	location, err := sqlite.Locate(sqlite.InMemory)
	if err != nil {
		return core{}, err
	}
	pool, err := sqlite.OpenWriter(ctx, sqlite.Settings{Location: location}, sqlite.Wait{})
	if err != nil {
		return core{}, err
	}
	defer pool.Close()

	c := core{set: set, versions: map[int64]catalog{}}
	every := func(string) bool { return true }
	for _, m := range set.Migrations {
		if _, err := pool.ExecContext(ctx, m.SQL); err != nil {
			return core{}, fmt.Errorf("%s: %w", m.Name, err)
		}
		if c.versions[m.Number], err = readCatalog(ctx, pool, every); err != nil {
			return core{}, err
		}
		c.last = m.Number
	}
	c.versions[0] = c.versions[set.Migrations[0].Number]
	return c, nil
}

// Tables are the core's, in lowercase, and those among them whose rows nobody but this module writes.
func Tables() (all, private []string, err error) {
	c, err := loadCore()
	if err != nil {
		return nil, nil, err
	}
	return slices.Sorted(maps.Keys(c.versions[c.last].tables)), []string{ledger, "keyset", "registry"}, nil
}

// owns reports whether the newest schema has a core table of that name.
func (c core) owns(table string) bool {
	_, ok := c.versions[c.last].tables[table]
	return ok
}
