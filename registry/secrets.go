package registry

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/keyset"
)

// secrets is what a Registry needs to open keysets, and the newest that it opened.
type secrets struct {
	keyed   bool // there is a KEK
	current atomic.Pointer[keyring]
	errands *errands

	mu       sync.Mutex // never held while a KEK is asked
	kek      keyset.KEK
	derived  *keyset.Wrapper // the newest that the KEK was made ready for
	refused  derivation      // what a passphrase was made ready for in vain
	openings []*opens        // that are running
	// Keyrings that this process stored itself, and which the KEK may not open: the one that is being stored, or of which it
	// is unknown whether it was; and the last few before it, which older snapshots still have.
	pending  *keyring
	replaced []*keyring
}

// maxReplaced is how many keysets may be stored while a caller goes from reading one to opening it.
const maxReplaced = 8

// derivation is what a passphrase's key is derived from, and what came of it.
type derivation struct {
	params string
	err    error
}

// opens is the opening of one stored keyset, which all wait for that need it.
type opens struct {
	row      db.GetKeysetRow
	waiters  int
	cancel   context.CancelFunc // once nobody waits
	done     chan struct{}
	ring     *keyring // set before done is closed
	err      error
	panicked any
}

// load opens the keyset that is stored in row, or takes the one that is open already. It returns ErrWrongKey if the KEK does not
// open it, or it is not what was stored; ctx's error if that ends first; ErrClosed.
func (s *secrets) load(ctx context.Context, row db.GetKeysetRow) (*keyring, error) {
	s.mu.Lock()
	for _, k := range []*keyring{s.current.Load(), s.pending} {
		if k.isOf(row) {
			s.mu.Unlock()
			return k, nil
		}
	}
	o := s.join(ctx, row)
	s.mu.Unlock()
	defer s.part(o)
	select {
	case <-o.done:
		if o.panicked != nil {
			panic(o.panicked)
		}
		if o.err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return o.ring, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns the opening of row that is running, or begins one. It goes on until the last of those who wait for it gave up.
func (s *secrets) join(ctx context.Context, row db.GetKeysetRow) *opens {
	for _, o := range s.openings {
		if sameKeyset(o.row, row) {
			o.waiters++
			return o
		}
	}
	o := &opens{row: row, waiters: 1, done: make(chan struct{})}
	ctx, o.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.openings = append(s.openings, o)
	go func() {
		defer close(o.done)
		defer func() {
			o.panicked = recover()
			s.mu.Lock()
			defer s.mu.Unlock()
			s.openings = slices.DeleteFunc(s.openings, func(other *opens) bool { return other == o })
		}()
		o.err = errNoReturn
		o.ring, o.err = run(ctx, s.errands, func(ctx context.Context) (*keyring, error) { return s.open(ctx, row) })
	}()
	return o
}

// part ends a wait for o.
func (s *secrets) part(o *opens) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.waiters--; o.waiters == 0 {
		o.cancel()
		s.openings = slices.DeleteFunc(s.openings, func(other *opens) bool { return other == o }) // nobody joins one that was cancelled
	}
}

func (s *secrets) open(ctx context.Context, row db.GetKeysetRow) (*keyring, error) {
	w, err := s.prepared(row)
	if err != nil {
		return nil, err
	}
	return openKeyring(ctx, row, w)
}

// prepared makes the KEK ready for a stored keyset. Deriving may take long, on purpose: an attacker's rows, and others' rotations, must
// not make it happen again.
func (s *secrets) prepared(row db.GetKeysetRow) (*keyset.Wrapper, error) {
	s.mu.Lock()
	kek, w, refused := s.kek, s.derived, s.refused
	s.mu.Unlock()
	if w != nil && string(w.Kind()) == row.KEK && w.Params() == row.KEKParams {
		return w, nil
	}
	if refused.err != nil && refused.params == row.KEKParams && string(kek.Kind()) == row.KEK {
		return nil, refused.err
	}
	w, err := kek.PrepareStored(keyset.Kind(row.KEK), row.KEKParams)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kek != kek: // another has taken its place
	case err == nil:
		s.derived = w
	case string(kek.Kind()) == row.KEK:
		s.refused = derivation{row.KEKParams, err}
	}
	return w, err
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

// advance makes k the current keyring if it is that one or follows it, and reports whether it is.
func (s *secrets) advance(k *keyring) bool {
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

// storing says that k is about to be stored: whoever reads it before adopt is called opens it all the same.
func (s *secrets) storing(k *keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = k
}

// settle ends storing: k is what the database has, and its wrapper is what the KEK was made ready for.
func (s *secrets) settle(k *keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.derived, s.pending = k.wrapper, nil
}

// adopt makes k the current keyring, which this process stored itself in the place of former, and kek what opens the ones to
// come.
func (s *secrets) adopt(former, k *keyring, kek keyset.KEK) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kek, s.derived, s.refused = kek, k.wrapper, derivation{}
	s.replaced = append(s.replaced, former) // current may be k by now: others read it before this process was told
	s.replaced = s.replaced[max(0, len(s.replaced)-maxReplaced):]
	s.pending = nil
	s.advance(k)
}

// sameKeyset reports whether two rows hold the same keyset.
func sameKeyset(a, b db.GetKeysetRow) bool {
	return a.RegistryID == b.RegistryID && a.Generation == b.Generation && a.Marker == b.Marker && a.KEK == b.KEK &&
		a.KEKParams == b.KEKParams && string(a.Wrapped) == string(b.Wrapped)
}
