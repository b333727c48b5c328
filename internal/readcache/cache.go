package readcache

import (
	"math"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Overhead is what an entry counts beyond its texts: the list, the map and the allocator's rounding.
const Overhead = 256

// maxShare is the part of the bound that one entry may take: 1/maxShare. One large value shall not drive out all others.
const maxShare = 8

// Entry is what a key holds, or that it holds nothing. It is not changed once it was kept.
type Entry struct {
	Found   bool
	Text    string // JSON
	Decoded any    // what the owner made of it, or nil
	Extra   int64  // the bytes of Decoded
}

// kept is an entry in the list.
type kept struct {
	*Entry
	touched time.Duration // when it was last put in front
}

// touchEvery is how often an entry that is read all the time is put in front: its place in the list is right to within that.
const touchEvery = time.Millisecond

// Cache is safe for concurrent use.
type Cache struct {
	maxBytes int64
	maxAge   time.Duration
	now      func() time.Duration // monotonic

	mu      sync.Mutex
	entries *simplelru.LRU[string, *kept]
	bytes   int64
	era     uint64              // grows with each look that found something
	filling map[string]struct{} // the keys of the Fills that may keep something
	doubts  uint64              // how often there were any
	last    Look                // the newest that ended well
	closed  bool
}

// New is an empty cache. It gives nothing out until a look ended.
func New(maxBytes int64, maxAge time.Duration, now func() time.Duration) *Cache {
	c := &Cache{maxBytes: maxBytes, maxAge: maxAge, now: now, filling: map[string]struct{}{}, doubts: 1}
	c.entries, _ = simplelru.NewLRU(math.MaxInt, func(key string, k *kept) { c.bytes -= size(key, k.Entry) }) // it fails for no size
	return c
}

// Get is the entry of a key, nil where there is none. With fresh false a look is due, and there is no answer until then.
func (c *Cache) Get(key string) (e *Entry, fresh bool) {
	now := c.now()
	c.mu.Lock()
	if fresh = c.fresh(now); fresh {
		if k, ok := c.entries.Peek(key); ok {
			if e = k.Entry; now-k.touched >= touchEvery {
				k.touched = now
				c.entries.Get(key)
			}
		}
	}
	c.mu.Unlock()
	return e, fresh
}

func (c *Cache) fresh(now time.Duration) bool {
	return c.last.doubts == c.doubts && now-c.last.began < c.maxAge
}

// Doubt says that something was committed, or may have been: nothing is given out before the next look.
func (c *Cache) Doubt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.doubts++
}

// Look is a look at the database for what was committed.
type Look struct {
	began  time.Duration
	doubts uint64 // those that it settles
}

// Look begins a look, if one is due. One is made at a time. Unless it fails, Same, Forget or ForgetAll ends it.
func (c *Cache) Look() (look Look, due bool) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	return Look{began: now, doubts: c.doubts}, !c.fresh(now)
}

// Same says that a look found nothing.
func (c *Cache) Same(look Look) { c.end(look, func() {}) }

// Forget says that a look found commits, and that these keys are all that they changed.
func (c *Cache) Forget(look Look, keys []string) {
	c.end(look, func() {
		c.era++
		for _, key := range keys {
			c.entries.Remove(key)
		}
	})
}

// ForgetAll says that a look found commits, and that anything may have changed.
func (c *Cache) ForgetAll(look Look) {
	c.end(look, func() {
		c.era++
		c.entries.Purge()
	})
}

func (c *Cache) end(look Look, forget func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	forget()
	c.last = look
}

// Peek is the entry of a key, however old, or nil. It is for Attach.
func (c *Cache) Peek(key string) *Entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if k, ok := c.entries.Peek(key); ok {
		return k.Entry
	}
	return nil
}

// Attach puts an entry that says the same in the place of another, unless that is gone.
func (c *Cache) Attach(key string, old, with *Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if current, ok := c.entries.Peek(key); ok && current.Entry == old && size(key, with) <= c.maxBytes/maxShare {
		c.put(key, with)
	}
}

// Purge forgets everything, and what is being filled is not kept.
func (c *Cache) Purge() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.era++
	c.doubts++
	c.entries.Purge()
}

// Close forgets everything, for good.
func (c *Cache) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.entries.Purge()
}

// put keeps an entry, unless it is too large, and drives out the ones that were not asked for the longest. What was there is
// gone either way.
func (c *Cache) put(key string, e *Entry) {
	c.entries.Remove(key) // Add would not say what it replaced
	bytes := size(key, e)
	if bytes > c.maxBytes/maxShare {
		return
	}
	c.entries.Add(strings.Clone(key), &kept{Entry: e, touched: c.now()}) // the caller's may be a piece of something large
	for c.bytes += bytes; c.bytes > c.maxBytes; {
		c.entries.RemoveOldest()
	}
}

func size(key string, e *Entry) int64 { return Overhead + int64(len(key)+len(e.Text)) + e.Extra }
