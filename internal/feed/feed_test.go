package feed

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/db"
)

func TestFeed(t *testing.T) { suite.Run(t, &feedSuite{}) }

type feedSuite struct {
	suite.Suite
	log  *fakeLog
	feed *Feed
}

// patience is when what should have happened is taken for what never will.
const patience = 2 * time.Minute

func (s *feedSuite) SetupTest() {
	s.log = &fakeLog{}
	s.feed = New(s.log.open, 5*time.Millisecond)
}

func (s *feedSuite) TearDownTest() {
	if s.feed != nil {
		s.feed.Close()
	}
	s.Require().Equal(s.log.opened, s.log.closed)
}

// join is a watcher that leaves with the test, when the feed knows the log.
func (s *feedSuite) join() *Watcher {
	w, err := s.feed.Join()
	s.Require().NoError(err)
	s.T().Cleanup(w.Leave)
	s.reaches(w, s.newest())
	return w
}

func (s *feedSuite) newest() (newest int64) {
	s.log.do(func() {
		if n := len(s.log.changes); n > 0 {
			newest = s.log.changes[n-1].Revision
		}
	})
	return newest
}

// reaches waits until the feed takes a revision for the newest.
func (s *feedSuite) reaches(w *Watcher, revision int64) {
	for {
		_, newest, grown := w.Since(revision)
		if newest {
			return
		}
		s.wait(grown)
	}
}

func (s *feedSuite) wait(c <-chan struct{}) {
	select {
	case <-c:
	case <-time.After(patience):
		s.Require().FailNow("nothing happens")
	}
}

// since are the revisions at hand after one, and whether that is the newest.
func (s *feedSuite) since(w *Watcher, after int64) (revisions []int64, newest bool) {
	changes, newest, _ := w.Since(after)
	for _, c := range changes {
		revisions = append(revisions, c.Revision)
	}
	return revisions, newest
}

func (s *feedSuite) TestACommitIsHandedOutAndReadOnce() {
	s.log.quiet = true // no tick notices anything
	s.log.add(5, "k")
	watchers := []*Watcher{s.join(), s.join(), s.join()}
	revisions, newest := s.since(watchers[0], 3)
	s.Require().Empty(revisions, "what was there before is for the log")
	s.Require().False(newest)
	for n := range int64(3) {
		_, newest, grown := watchers[0].Since(5 + n)
		s.Require().True(newest)
		s.log.add(1, "k")
		s.feed.Committed()
		s.wait(grown)
		for _, w := range watchers {
			revisions, newest := s.since(w, 5+n)
			s.Require().Equal([]int64{6 + n}, revisions)
			s.Require().False(newest)
		}
	}
	revisions, _ = s.since(watchers[0], 5)
	s.Require().Equal([]int64{6, 7, 8}, revisions)
	s.Require().Equal(3, s.log.reads)
}

func (s *feedSuite) TestCommitsOfOthersAreNoticed() {
	w := s.join()
	_, newest, grown := w.Since(0)
	s.Require().True(newest)
	s.log.add(2, "k")
	s.wait(grown)
	revisions, _ := s.since(w, 0)
	s.Require().Equal([]int64{1, 2}, revisions)
	revisions, newest = s.since(w, 7)
	s.Require().Empty(revisions)
	s.Require().False(newest, "it is beyond what there is")
}

func (s *feedSuite) TestACommitThatIsNoChangeWakesNobody() {
	w := s.join()
	_, _, grown := w.Since(0)
	s.feed.Committed()
	s.log.add(1, "k")
	s.feed.Committed()
	s.wait(grown)
	_, _, grown = w.Since(1)
	var looks int
	s.log.do(func() { looks = s.log.looks })
	s.feed.Committed()
	s.Require().Eventually(func() bool {
		s.log.mu.Lock()
		defer s.log.mu.Unlock()
		return s.log.looks > looks
	}, patience, time.Millisecond)
	select {
	case <-grown:
		s.Require().Fail("woken")
	default:
	}
}

func (s *feedSuite) TestWhatIsKeptIsBounded() {
	w := s.join()
	for range 10 {
		s.log.add(maxRecent/4, "k")
		s.feed.Committed()
		s.reaches(w, s.newest())
	}
	s.Require().Len(w.tail.recent, maxRecent)
	newest := s.newest()
	revisions, _ := s.since(w, newest-maxRecent)
	s.Require().Len(revisions, page)
	s.Require().Equal(newest-maxRecent+1, revisions[0])
	revisions, current := s.since(w, newest-maxRecent-1)
	s.Require().Empty(revisions)
	s.Require().False(current)

	s.log.add(5*maxRecent, "k") // more than is kept, at once
	s.feed.Committed()
	s.reaches(w, s.newest())
	s.Require().Len(w.tail.recent, maxRecent)

	s.log.add(100, strings.Repeat("k", maxRecentBytes/10))
	s.feed.Committed()
	s.reaches(w, s.newest())
	s.Require().LessOrEqual(w.tail.bytes, maxRecentBytes)
	s.Require().Len(w.tail.recent, 9)
}

// The array behind what is kept outlives it.
func (s *feedSuite) TestWhatIsDroppedIsFreed() {
	s.log.add(20, "k")
	t := newTail()
	t.newest, t.recent = 0, make([]db.Change, 0, 20)
	array := t.recent[:20]
	t.add(s.log.changes[:10], 1, 10)
	s.Require().Equal(s.log.changes[:10], array[:10])
	t.add(s.log.changes[10:], 15, 20)
	s.Require().Equal(make([]db.Change, 14), array[:14])
	s.Require().Equal(s.log.changes[14:], t.recent)
}

func (s *feedSuite) TestWhatTheLogLostIsNotKept() {
	w := s.join()
	s.log.add(10, "k")
	s.feed.Committed()
	s.reaches(w, 10)
	s.log.do(func() { s.log.changes = s.log.changes[8:] })
	s.log.add(1, "k")
	s.feed.Committed()
	s.reaches(w, 11)
	revisions, _ := s.since(w, 7)
	s.Require().Empty(revisions)
	revisions, _ = s.since(w, 8)
	s.Require().Equal([]int64{9, 10, 11}, revisions)

	s.log.add(100, "k")
	s.log.do(func() { s.log.changes = s.log.changes[90:] }) // it lost what the feed has not seen yet
	s.feed.Committed()
	s.reaches(w, 111)
	revisions, _ = s.since(w, 11)
	s.Require().Empty(revisions)
	revisions, _ = s.since(w, 98)
	s.Require().Len(revisions, 13)
}

// Whoever watches a damaged log reads it, and says what is wrong.
func (s *feedSuite) TestADamagedLogIsNotHandedOut() {
	w := s.join()
	s.log.add(3, "k")
	s.log.do(func() { s.log.changes[1].Revision = 7; s.log.changes[2].Revision = 8 })
	s.feed.Committed()
	s.reaches(w, 8)
	revisions, newest := s.since(w, 0)
	s.Require().Empty(revisions)
	s.Require().False(newest)
}

func (s *feedSuite) TestAnErrorLetsTheWatchersLookAndIsOvercome() {
	w := s.join()
	s.log.add(1, "k")
	s.feed.Committed()
	s.reaches(w, 1)
	s.log.do(func() { s.log.errs = []error{errors.New("a bad disk"), errors.New("still bad")} })
	_, _, grown := w.Since(1)
	s.feed.Committed()
	s.wait(grown)
	s.log.add(1, "k")
	s.reaches(w, 2)
	s.Require().GreaterOrEqual(s.log.opened, 3, "on a connection of its own each time")
}

func (s *feedSuite) TestALockIsWaitedFor() {
	w := s.join()
	s.log.do(func() {
		s.log.errs = []error{sqlite3.Error{Code: sqlite3.ErrLocked}, sqlite3.Error{Code: sqlite3.ErrBusy}}
	})
	_, newest, grown := w.Since(0)
	s.Require().True(newest)
	s.log.add(1, "k")
	s.feed.Committed()
	s.wait(grown)
	s.reaches(w, 1)
	s.Require().Equal(1, s.log.opened)
}

func (s *feedSuite) TestItFollowsTheLogWhileAnybodyWatches() {
	s.feed.Committed() // nobody hears it
	for range 3 {
		first, err := s.feed.Join()
		s.Require().NoError(err)
		second, err := s.feed.Join()
		s.Require().NoError(err)
		first.Leave()
		s.reaches(second, s.newest())
		s.log.add(1, "k")
		s.reaches(second, s.newest())
		second.Leave()
		s.Require().Equal(s.log.opened, s.log.closed)
	}
	s.Require().Equal(3, s.log.opened)
}

func (s *feedSuite) TestClosing() {
	w := s.join()
	feed := s.feed
	s.feed = nil
	feed.Close()
	s.wait(w.Closed())
	s.Require().Equal(s.log.opened, s.log.closed)
	_, err := feed.Join()
	s.Require().ErrorIs(err, ErrClosed)
	feed.Committed()
}

// Whoever closes the database next must be the last who has it open: also where the last watcher is just leaving.
func (s *feedSuite) TestCloseWaitsForWhoIsLeaving() {
	s.log.closing = make(chan struct{})
	w, err := s.feed.Join()
	s.Require().NoError(err)
	s.reaches(w, 0)
	left := make(chan struct{})
	go func() {
		defer close(left)
		w.Leave()
	}()
	for s.feed.current.Load() != nil {
		runtime.Gosched()
	}
	go func() {
		<-s.feed.closed
		close(s.log.closing)
	}()
	s.feed.Close()
	s.log.do(func() { s.Require().Equal(1, s.log.closed) })
	s.wait(left)
	s.feed = nil
}
