package registry

import (
	"database/sql"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// numbers gives the writes that share a transaction their revisions. Each that asks makes one change, to which the triggers
// give the revision that comes next: only the first has to ask the database. (No trigger and no foreign key of anybody else's
// may be on config or changes, which Open and Verify check.) It is for who has the queue's turn.
type numbers struct {
	of    *sql.Conn // the transaction's: each has one of its own
	last  int64     // the newest revision in it
	asked bool      // by the write that is running
}

// run runs a write's change. After one that did not ask nobody knows what the newest revision is. (One that fails undoes the
// transaction.)
func (n *numbers) run(q *sql.Conn, change func(*sql.Conn) error) error {
	n.asked = false
	err := change(q)
	if !n.asked {
		n.of = nil
	}
	return err
}

// next is the revision of the one change that the write is about to make.
func (n *numbers) next(q *sql.Conn) (int64, error) {
	if q != n.of {
		newest, err := newestRevision(q)
		if err != nil {
			return 0, err
		}
		n.of, n.last = q, newest
	}
	n.asked = true
	n.last++
	return n.last, nil
}

func newestRevision(q *sql.Conn) (int64, error) {
	direct := sqlite.NewDirect(q)
	_, _ = queries.GetRevision(background, direct)
	return direct.Int64()
}

// nextRevision implements scope.
func (r *Registry) nextRevision(q *sql.Conn) (int64, error) { return r.numbers.next(q) }

// nextRevision implements scope. Between two writes of a transaction its owner may have written anything.
func (tx *Tx) nextRevision(q *sql.Conn) (int64, error) {
	newest, err := newestRevision(q)
	return newest + 1, err
}
