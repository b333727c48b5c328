package commit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

func (s *queueSuite) TestSharedAndExclusiveWritesTakeTurns() {
	s.queue.wait.Limit = patience
	release := s.hold()
	var mu sync.Mutex
	var order []string
	var group sync.WaitGroup
	note := func(what string) { mu.Lock(); defer mu.Unlock(); order = append(order, what) }
	n := 0
	wait := func() { n++; s.waiting(n) }
	for i := range 3 {
		group.Go(func() {
			s.NoError(s.queue.Do(s.T().Context(), Write{Change: func(conn *sql.Conn) error {
				note("single")
				return insertion(i).Change(conn)
			}}))
		})
		wait()
		group.Go(func() {
			s.NoError(s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
				note(fmt.Sprint("exclusive ", i))
				return tx.Commit(context.Background())
			}))
		})
		wait()
	}
	release()
	group.Wait()
	s.Require().Equal([]string{"single", "single", "single", "exclusive 0", "exclusive 1", "exclusive 2"}, order)
}

// Writers that never rest keep nobody from the turn.
func (s *queueSuite) TestNobodyStarves() {
	s.queue.wait.Limit = patience
	ctx, cancel := context.WithCancel(s.T().Context())
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := s.queue.Do(ctx, inserting); err != nil && !errors.Is(err, context.Canceled) {
					s.NoError(err)
				}
			}
		})
	}
	for range 50 {
		s.Require().NoError(s.queue.Exclusive(s.T().Context(), func(tx *sqlite.Tx) error {
			return tx.Commit(context.Background())
		}))
	}
	cancel()
	group.Wait()
	s.Require().True(slices.IsSorted(s.committed))
}
