package registry

import (
	"context"
	"reflect"

	"github.com/oxide-k/stateregistry/internal/readcache"
)

// cached is the entry that r's cache has for a key, nil without one. It costs no allocation. Only a Registry is asked, and
// nothing that has one embedded: its GetConfig may be another.
func cached(ctx context.Context, r Reader, key string) *readcache.Entry {
	reg, ok := r.(*Registry)
	if !ok || reg.reads == nil {
		return nil
	}
	e, _ := reg.reads.entry(ctx, key) // the database's word is the same
	return e
}

// getCached is getConfig with a cache. The arguments were checked.
func (a *access) getCached(ctx context.Context, c *readCache, key string, dst any) error {
	e, err := c.entry(ctx, key)
	if err != nil {
		return err
	}
	if e == nil {
		if e, err = a.fill(ctx, c, key); err != nil {
			return err
		}
	}
	if !e.Found {
		return ErrConfigNotFound
	}
	return c.decode(key, e, dst)
}

// fill reads an entry from the database, and has it kept.
func (a *access) fill(ctx context.Context, c *readCache, key string) (*readcache.Entry, error) {
	fill := c.entries.Fill(key)
	defer fill.End()
	json, found, err := a.readConfig(ctx, key)
	if err != nil {
		return nil, err
	}
	e := &readcache.Entry{Found: found, Text: string(json)}
	if checkKey(key) == nil { // of the others, which have no bound, there are few
		fill.Keep(e)
	}
	return e, nil
}

// decode decodes an entry into dst. Where that is zero, and of a flat type, what it becomes depends on the text alone, and
// copying it is as good; into any other dst json.Unmarshal merges. An unmarshal method gets a text of its own to spoil.
func (c *readCache) decode(key string, e *readcache.Entry, dst any) error {
	target := reflect.ValueOf(dst).Elem()
	copies := c.isFlat(target.Type()) && isZero(target)
	if kept := reflect.ValueOf(e.Decoded); copies && kept.IsValid() && kept.Type().Elem() == target.Type() {
		target.Set(kept.Elem())
		return nil
	}
	if err := decode([]byte(e.Text), dst); err != nil || !copies {
		return err
	}
	kept := reflect.New(target.Type())
	kept.Elem().Set(target)
	c.attach(key, e, kept.Interface(), bytesOf(target))
	return nil
}

func (c *readCache) attach(key string, e *readcache.Entry, decoded any, bytes int64) {
	with := *e
	with.Decoded, with.Extra = decoded, bytes
	c.entries.Attach(key, e, &with)
}

// cachedDefault is what is kept where there is no entry: a default, and what it is when it was stored and read. (To that, 0
// and -0 are the same default.)
type cachedDefault[T any] struct{ given, stored T }

// keepDefault keeps a default of a flat type, if r's cache knows that there is no entry.
func keepDefault[T any](r Reader, key string, given, stored T) {
	reg, ok := r.(*Registry)
	if !ok || reg.reads == nil || !reg.reads.isFlat(reflect.TypeFor[T]()) {
		return
	}
	if e := reg.reads.entries.Peek(key); e != nil && !e.Found {
		kept := &cachedDefault[T]{given, stored}
		reg.reads.attach(key, e, kept, bytesOf(reflect.ValueOf(kept).Elem()))
	}
}
