package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// rewriting is the rewriting of all values in one transaction.
type rewriting struct {
	conn    *sql.Conn
	op      string                                 // for errors
	form    func(key, text string) (string, error) // a value's other form; one call at a time
	untyped []string                               // the keys of rows that no statement finds by their text
	refused []error
	more    int
}

// rewritten is a value in its other form, or why it has none.
type rewritten struct {
	staleEntry
	form string
	err  error
}

// maxNamed is how many values an error names.
const maxNamed = 100

// rewriteAll puts each value that is not under the marker into another form, in the caller's transaction. Values that have
// none are named in the error, the first of many at least. While a page is written the next is put into its form.
func (r *Registry) rewriteAll(ctx context.Context, conn *sql.Conn, op, marker string, form func(key, text string) (string, error)) error {
	job := &rewriting{conn: conn, op: op, form: form}
	var err error
	if job.untyped, err = queries.ListUntypedConfig(ctx, conn); err != nil {
		return err
	}
	for _, key := range job.untyped {
		job.refuse(key, fmt.Errorf("%w: its key or its value is no text", ErrDecode))
	}
	progress, err := newProgress(conn, &r.opts)
	if err != nil {
		return err
	}
	if err := job.run(ctx, &staleWalk{marker: marker}, progress); err != nil {
		return err
	}
	if job.more > 0 {
		job.refused = append(job.refused, fmt.Errorf("and %d more", job.more))
	}
	if len(job.refused) == 0 {
		progress.end()
	}
	return errors.Join(job.refused...)
}

func (job *rewriting) run(ctx context.Context, walk *staleWalk, progress *progress) error {
	var forming chan []rewritten // brings the page that was read last
	defer func() {
		if forming != nil {
			<-forming
		}
	}()
	for {
		entries, err := walk.next(ctx, job.conn)
		if err != nil {
			return err
		}
		var page []rewritten
		if forming != nil {
			page = <-forming
			forming = nil
		}
		if len(entries) > 0 {
			forming = job.start(entries)
		}
		if err := job.write(page); err != nil {
			return err
		}
		progress.add(len(page))
		if len(entries) == 0 {
			return nil
		}
	}
}

// start puts a page into its other form.
func (job *rewriting) start(entries []staleEntry) chan []rewritten {
	formed := make(chan []rewritten, 1)
	go func() {
		page := make([]rewritten, len(entries))
		for i, e := range entries {
			page[i].staleEntry = e
			page[i].form, page[i].err = job.form(e.key, e.text)
		}
		formed <- page
	}()
	return formed
}

func (job *rewriting) write(page []rewritten) error {
	direct := sqlite.NewDirect(job.conn)
	for _, e := range page {
		if e.err != nil {
			job.refuse(e.key, e.err)
			continue
		}
		rows, err := queries.ReencryptConfig(background, direct, db.ReencryptConfigParams{Value: e.form, Key: e.key, OldValue: e.text})
		if err != nil {
			return err
		}
		if rows != 1 && !slices.Contains(job.untyped, e.key) {
			job.refuse(e.key, fmt.Errorf("%w: the row is not found by its key", ErrCorrupt))
		}
	}
	return nil
}

func (job *rewriting) refuse(key string, err error) {
	if len(job.refused) < maxNamed {
		job.refused = append(job.refused, &Error{Op: job.op, Key: key, Err: classify(err)})
	} else {
		job.more++
	}
}
