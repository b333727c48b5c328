package commit

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// What ends a batch: others are waiting too, for their turn and for their answers.
const (
	maxBatch  = 128
	batchTime = 10 * time.Millisecond
	maxYields = 3
)

var (
	// errPanicked says that a write panicked; whoever wanted it panics with the same value.
	errPanicked = errors.New("the write panicked")
	// errAbandoned is the answer of who never got another one: the goroutine that led the batch ended in the middle.
	errAbandoned = errors.New("the transaction was abandoned")
	// errRefused says that all of a batch were refused.
	errRefused = errors.New("nothing is to be written")
)

// request is a call that wants the turn, or, where it has a write, an answer.
type request struct {
	ctx      context.Context
	wait     sqlite.Wait // started when the call was made
	write    *Write
	called   chan struct{} // closed when it has either; nil while it needs neither
	leads    bool          // it was called to have the turn
	answered bool
	refused  bool // by its Check
	err      error
	panicked any
}

// answer is what the call returns: an error that kept it from its turn, or what became of its write.
func (r *request) answer(err error) error {
	if err != nil {
		return err
	}
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.err
}

// finish lets the call return. That of the leader needs no word.
func (r *request) finish() {
	if !r.answered && r.called != nil && !r.leads {
		r.answered = true
		close(r.called)
	}
}

// run runs the write in a transaction. An error says that the transaction must be rolled back; that of a refusal is in r.
func (r *request) run(tx *sqlite.Tx) (err error) {
	r.refused, r.err, r.panicked = false, errAbandoned, nil
	defer func() {
		if r.panicked = recover(); r.panicked != nil {
			err = errPanicked
		}
	}()
	if r.write.Check != nil {
		if err := r.write.Check(tx.Conn()); err != nil {
			if tx.Standing() != nil { // an error of the disk, say, which is no refusal
				return err
			}
			r.refused, r.err = true, err
			return nil
		}
	}
	if err := r.write.Change(tx.Conn()); err != nil {
		return err
	}
	return tx.Standing()
}

// lead runs leader's write, with those that share its transaction, and answers them all.
func (q *Queue) lead(leader *request) {
	batch := []*request{leader}
	defer func() {
		for _, r := range batch {
			r.finish()
		}
	}()
	shared := q.share(&batch)
	var again []*request
	for _, r := range batch {
		switch {
		case shared == nil && !r.refused:
			r.err = nil
		case shared == nil || errors.Is(shared, errRefused) || r.panicked != nil: // it has its answer
		case len(batch) == 1 || errors.Is(shared, sqlite.ErrCommitUnknown) && !r.refused:
			r.err = shared
		default:
			// A lock that the commit met may be gone before this one has waited as long as it may, though the leader has.
			// What the others wrote in the meantime, which a refusal may have been about, was undone as well.
			again = append(again, r)
			continue
		}
		r.finish()
	}
	for _, r := range again {
		r.err = q.alone(r)
		r.finish()
	}
}

// share runs the batch's first write, and those that wait, in one transaction, and adds them to the batch. Where it returns
// an error nothing was written, except for sqlite.ErrCommitUnknown.
func (q *Queue) share(batch *[]*request) error {
	leader := (*batch)[0]
	return q.transact(leader.ctx, leader.wait, func(tx *sqlite.Tx) error {
		began := q.now()
		written, yields := false, 0
		for r := leader; r != nil; r = q.claim() {
			if r != leader {
				*batch = append(*batch, r)
			}
			if err := r.run(tx); err != nil {
				return err
			}
			written = written || !r.refused
			if len(*batch) == maxBatch || q.now().Sub(began) > batchTime {
				break
			}
			// Where some share the transaction, more may be on their way: goroutines that the commit before has just woken.
			// They are let through, a few times.
			if yields < maxYields && len(*batch) > 1 && q.isEmpty() {
				yields++
				runtime.Gosched()
			}
		}
		if !written {
			return errRefused
		}
		return tx.Commit(context.WithoutCancel(leader.ctx))
	})
}

// alone runs a write in a transaction of its own. It waits for what is left since the write's call, and so do those after it:
// they do not wait one after another.
func (q *Queue) alone(r *request) error {
	return q.transact(r.ctx, r.wait, func(tx *sqlite.Tx) error {
		if err := r.run(tx); err != nil {
			return err
		}
		if r.refused {
			return r.err
		}
		return tx.Commit(context.WithoutCancel(r.ctx))
	})
}

func (q *Queue) isEmpty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.line) == 0
}

// claim takes the first single write out of the line whose context has not ended, or nil. From now on it is too late to
// withdraw it.
func (q *Queue) claim() *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.IndexFunc(q.line, func(r *request) bool { return r.write != nil && r.ctx.Err() == nil })
	if at < 0 {
		return nil
	}
	r := q.line[at]
	q.line = slices.Delete(q.line, at, at+1)
	return r
}

// withdraw takes a request out of the line, and reports whether it was there.
func (q *Queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.line, r)
	if at < 0 {
		return false
	}
	q.line = slices.Delete(q.line, at, at+1)
	return true
}
