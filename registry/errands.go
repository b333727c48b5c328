package registry

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// errands runs what may take long, a KMS's answer or the derivation of a key, in goroutines of their own. Whoever waits for one
// stops waiting when its context ends or the registry is closed. A cipher that takes no context may go on for as long as it
// likes: then only its goroutine is left behind.
type errands struct {
	mu      sync.Mutex
	running int
	idle    chan struct{} // closed when running falls to 0; nil while nobody asked
	given   bool          // nobody waits any more
	up      chan struct{} // closed with given
}

func newErrands() *errands { return &errands{up: make(chan struct{})} }

// errand is what one brings back.
type errand[T any] struct {
	value    T
	err      error
	panicked any
}

// run returns what f does. It returns ctx's error if ctx ends first, and ErrClosed if the errands are given up. Then the context that f
// got has ended too. A panic of f's is the caller's, if the caller still waits.
func run[T any](ctx context.Context, e *errands, f func(ctx context.Context) (T, error)) (value T, err error) {
	if err := ctx.Err(); err != nil {
		return value, err
	}
	if err := e.begin(); err != nil {
		return value, err
	}
	own, cancel := context.WithCancel(ctx)
	back := make(chan errand[T], 1)
	go func() {
		defer e.end()
		result := errand[T]{err: errNoReturn}
		defer func() {
			result.panicked = recover()
			back <- result
		}()
		result.value, result.err = f(own)
	}()
	defer cancel()
	select {
	case result := <-back:
		if result.panicked != nil {
			panic(result.panicked)
		}
		if result.err != nil && ctx.Err() != nil { // a KMS that says so is no wrong key
			return value, ctx.Err()
		}
		return result.value, result.err
	case <-ctx.Done():
		return value, ctx.Err()
	case <-e.up:
		return value, errGivenUp
	}
}

var (
	errGivenUp  = fmt.Errorf("%w while the key-encryption key was asked", ErrClosed)
	errNoReturn = errors.New("the goroutine that asked the key-encryption key was ended")
)

func (e *errands) begin() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.given {
		return errGivenUp
	}
	e.running++
	return nil
}

func (e *errands) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running--; e.running == 0 && e.idle != nil {
		close(e.idle)
		e.idle = nil
	}
}

// giveUp makes everybody stop waiting. It is called once.
func (e *errands) giveUp() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.given = true
	close(e.up)
}

// settle waits until no errand is running, or they are given up. It returns ErrBusy if one is left.
func (e *errands) settle() error {
	e.mu.Lock()
	idle := e.idle
	if e.running > 0 && idle == nil {
		idle = make(chan struct{})
		e.idle = idle
	}
	e.mu.Unlock()
	if idle != nil {
		select {
		case <-idle:
		case <-e.up:
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running > 0 {
		return fmt.Errorf("%w: the key-encryption key was asked and has not answered; the registry is closed all the same", ErrBusy)
	}
	return nil
}
