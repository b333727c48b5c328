package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/keyset"
)

// secrets is what a Registry needs to open keysets, and the newest that it opened.
type secrets struct {
	keyed    bool // there is a KEK
	current  atomic.Pointer[keyring]
	errands  *errands
	patience time.Duration // how long an opening is waited for before the KEK is asked once more

	mu       sync.Mutex // never held while a KEK is asked
	kek      keyset.KEK
	derived  *keyset.Wrapper // the newest that the KEK was made ready for
	refused  derivation      // what a passphrase was made ready for in vain
	openings []*opens        // that are running
	// What this process stores, or stored so that it is unknown whether it did; and the keyrings before it that older snapshots
	// still have. The KEK may open neither.
	pending  *storing
	replaced []*keyring
}

// maxReplaced is how many keysets may be stored while a caller goes from reading one to opening it.
const maxReplaced = 8

// derivation is what a passphrase's key is derived from, and what came of it.
type derivation struct {
	params string
	err    error
}

// storing is a keyring that is about to be stored.
type storing struct {
	ring, former *keyring // former is nil for the first of a registry
}

// opens is the opening of one stored keyset, which all wait for that need it.
type opens struct {
	row      db.GetKeysetRow
	kek      keyset.KEK
	began    time.Time
	waiters  int
	ctx      context.Context
	cancel   context.CancelFunc // once nobody waits
	done     chan struct{}
	ring     *keyring // set before done is closed
	err      error
	cut      bool // ctx had ended before it did
	panicked any
}

// load opens the keyset that is stored in row, or takes the one that is open already. It returns ErrWrongKey if the KEK does not
// open it, or it is not what was stored; ctx's error if that ends first; ErrClosed.
func (s *secrets) load(ctx context.Context, row db.GetKeysetRow) (*keyring, error) {
	for {
		o, k := s.join(ctx, row)
		if k != nil {
			return k, nil
		}
		ended, err := s.await(ctx, o)
		switch {
		case err != nil:
			return nil, err
		case !ended: // its answer is lost, it seems: ask again
			continue
		case o.panicked != nil:
			panic(o.panicked)
		case o.err != nil && ctx.Err() != nil:
			return nil, ctx.Err()
		case s.isRevoked(o.kek): // meanwhile: whatever it opened counts no more
			continue
		case o.err != nil && o.cut: // the others gave it up before this caller joined
			continue
		}
		return o.ring, o.err
	}
}

// isRevoked reports whether a KEK is no longer what opens the registry's keysets.
func (s *secrets) isRevoked(kek keyset.KEK) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kek != kek
}

// kekPatience is a registry's patience with a KEK: an answer that takes longer may be lost. One that cannot be interrupted is not
// asked for the same more often than that.
const kekPatience = 10 * time.Second

// left returns how much of the patience with an opening is left. A derivation always ends.
func (s *secrets) left(o *opens) time.Duration {
	if o.kek.Kind() == keyset.KindPassphrase {
		return s.patience
	}
	return s.patience - time.Since(o.began)
}

// join returns the keyring, if it is there, or the opening of row that is running, or begins one.
func (s *secrets) join(ctx context.Context, row db.GetKeysetRow) (*opens, *keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.current.Load(); k.isOf(row) {
		return nil, k
	}
	if p := s.pending; p != nil && p.ring.isOf(row) { // it was stored
		s.adopt()
		return nil, p.ring
	}
	for _, o := range s.openings {
		if o.kek == s.kek && sameKeyset(o.row, row) && s.left(o) > 0 {
			o.waiters++
			return o, nil
		}
	}
	o := &opens{row: row, kek: s.kek, began: time.Now(), waiters: 1, done: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.openings = append(s.openings, o)
	go s.run(o)
	return o, nil
}

// run runs an opening.
func (s *secrets) run(o *opens) {
	defer close(o.done)
	defer func() {
		o.panicked = recover()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.openings = slices.DeleteFunc(s.openings, func(other *opens) bool { return other == o })
		if o.err == nil { // also if nobody waits any more: the next one need not ask
			s.replace(o.ring)
		}
	}()
	if o.err = s.errands.begin(); o.err != nil {
		return
	}
	defer s.errands.end()
	o.err = errNoReturn
	o.ring, o.err = s.open(o)
	o.cut = o.ctx.Err() != nil
}

// await waits for an opening, as long as there is patience with it. An error says why it does not wait.
func (s *secrets) await(ctx context.Context, o *opens) (ended bool, err error) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if o.waiters--; o.waiters == 0 {
			o.cancel()
		}
	}()
	lost := time.NewTimer(s.left(o))
	defer lost.Stop()
	select {
	case <-o.done:
		return true, nil
	case <-lost.C:
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-s.errands.up:
		return false, errGivenUp
	}
}

func (s *secrets) open(o *opens) (*keyring, error) {
	w, err := s.prepared(o)
	if err != nil {
		return nil, err
	}
	return openKeyring(o.ctx, o.row, w, o.kek)
}

// prepared makes the KEK ready for a stored keyset. Deriving may take long, on purpose: an attacker's rows, and others' rotations, must
// not make it happen again.
func (s *secrets) prepared(o *opens) (*keyset.Wrapper, error) {
	if w, err := s.known(o); w != nil || err != nil {
		return w, err
	}
	w, err := o.kek.PrepareStoredWithContext(o.ctx, keyset.Kind(o.row.KEK), o.row.KEKParams)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kek != o.kek || o.ctx.Err() != nil && errors.Is(err, o.ctx.Err()): // it was revoked, or not made ready
	case err == nil:
		s.derived = w
	case string(o.kek.Kind()) == o.row.KEK:
		s.refused = derivation{o.row.KEKParams, err}
	}
	return w, err
}

// known returns what was made ready before, or refused.
func (s *secrets) known(o *opens) (*keyset.Wrapper, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch w := s.derived; {
	case s.kek != o.kek:
		return nil, nil
	case w != nil && string(w.Kind()) == o.row.KEK && w.Params() == o.row.KEKParams:
		return w, nil
	case s.refused.err != nil && s.refused.params == o.row.KEKParams && string(o.kek.Kind()) == o.row.KEK:
		return nil, s.refused.err
	}
	return nil, nil
}

// former returns the keyring that this process replaced, if row is that one's, and nil otherwise. It is for reading an older
// snapshot only: a row that was put back must not make anybody encrypt under keys whose KEK was revoked.
func (s *secrets) former(row db.GetKeysetRow) *keyring {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.replaced {
		if k.isOf(row) {
			return k
		}
	}
	return nil
}

// advance makes k the current keyring if it is that one or follows it, and its KEK is still the registry's. It reports whether k is
// the current one.
func (s *secrets) advance(k *keyring) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.replace(k)
}

// replace does what advance does, under the lock.
func (s *secrets) replace(k *keyring) bool {
	if k.kek != s.kek {
		return false
	}
	for {
		current := s.current.Load()
		switch {
		case current == k || k.isSame(current):
			return true
		case current != nil && current != locked && (current.registryID != k.registryID || current.generation >= k.generation):
			return false
		case s.current.CompareAndSwap(current, k):
			return true
		}
	}
}

// store says that p is about to be stored: whoever reads it before settle opens it all the same.
func (s *secrets) store(p storing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = &p
}

// settle says what became of the keyring that was to be stored: it was, and is the current one from now on, or it was not.
func (s *secrets) settle(stored bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stored {
		s.adopt()
	}
	s.pending = nil
}

// adopt makes what was stored the current keyring, and its KEK what opens the ones to come. It does so once, whoever noticed first.
func (s *secrets) adopt() {
	p := s.pending
	if p == nil {
		return
	}
	s.pending = nil
	moved := s.kek != p.ring.kek
	s.kek, s.derived, s.refused = p.ring.kek, p.ring.wrapper, derivation{}
	if p.former != nil {
		s.replaced = append(s.replaced, p.former) // current may be another by now: others read it before this process was told
		s.replaced = s.replaced[max(0, len(s.replaced)-maxReplaced):]
	}
	if moved { // what another KEK opened meanwhile counts no more, whatever its generation
		s.current.Store(p.ring)
		return
	}
	s.replace(p.ring)
}

// sameKeyset reports whether two rows hold the same keyset.
func sameKeyset(a, b db.GetKeysetRow) bool {
	return a.RegistryID == b.RegistryID && a.Generation == b.Generation && a.Marker == b.Marker && a.KEK == b.KEK &&
		a.KEKParams == b.KEKParams && string(a.Wrapped) == string(b.Wrapped)
}
