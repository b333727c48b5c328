package readcache

// Fill is a read of the database for a key that the cache does not have.
type Fill struct {
	cache *Cache
	key   string
	era   uint64
	sole  bool // no other Fill of the key was running
	kept  bool
}

// Fill begins a read. Call it before the database is read, and End after that, whatever came of it.
func (c *Cache) Fill(key string) Fill {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := Fill{cache: c, key: key, era: c.era}
	if _, running := c.filling[key]; !running {
		f.sole = true
		c.filling[key] = struct{}{}
	}
	return f
}

// Keep keeps what was read, if that may be. Its reader may use it in any case.
func (f *Fill) Keep(e *Entry) {
	c := f.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	current, there := c.entries.Peek(f.key)
	switch {
	case there && current.Found == e.Found && current.Text == e.Text:
		f.kept = true
	case f.sole && f.era == c.era && !c.closed:
		f.kept = true
		c.put(f.key, e)
	}
}

// End ends the read.
func (f *Fill) End() {
	c := f.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.sole {
		delete(c.filling, f.key)
	}
	if !f.kept {
		c.doubts++
	}
}
