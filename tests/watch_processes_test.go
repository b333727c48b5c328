package tests

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// Watching what other processes write.
func TestWatchProcesses(t *testing.T) {
	runInFileModes(t, func() *watchProcessSuite { return &watchProcessSuite{} })
}

type watchProcessSuite struct{ fileSuite }

const (
	watchedWriters = 4
	watchedChanges = 20_000
)

// A watcher that stops and goes on from its last revision, at random moments, sees each change once and in order.
func (s *watchProcessSuite) TestAWatcherThatStartsAgainMissesNothing() {
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	random := rand.New(rand.NewPCG(seed, 2))
	changes := int64(watchedChanges)
	if s.mode.origin {
		changes /= 8
	}
	path := s.file("x.db")
	reg := s.open(path)
	first, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	var children []*child
	for i := range watchedWriters {
		children = append(children, startRole(s.T(), "write",
			s.mode.name, path, strconv.Itoa(i), strconv.FormatUint(seed, 10), strconv.FormatInt(first+changes, 10)))
	}
	for _, c := range children {
		s.Require().Equal("ready", c.hear())
		c.say("go")
	}

	ctx, cancel := context.WithTimeout(s.T().Context(), 6*patience)
	defer cancel()
	var seen []registry.Change
	last, loops := first, 0
	for last < first+changes {
		loops++
		if loops%20 == 0 { // another Registry, which has seen nothing yet
			s.Require().NoError(reg.Close())
			reg = s.open(path)
		}
		stopAfter := len(seen) + 1 + random.IntN(400)
		for change, err := range reg.Watch(ctx, last) {
			s.Require().NoError(err)
			s.Require().Equal(last+1, change.Revision)
			seen = append(seen, change)
			last = change.Revision
			if len(seen) >= stopAfter || last >= first+changes {
				break
			}
		}
		s.Require().NoError(ctx.Err())
	}
	for _, c := range children {
		c.wait()
	}
	newest, err := reg.Revision(ctx)
	s.Require().NoError(err)
	for change, err := range reg.Watch(ctx, last) {
		if last == newest {
			break
		}
		s.Require().NoError(err)
		s.Require().Equal(last+1, change.Revision)
		seen = append(seen, change)
		if last = change.Revision; last == newest {
			break
		}
	}
	logged, err := reg.Changes(ctx, first, math.MaxInt)
	s.Require().NoError(err)
	s.Require().Equal(logged, seen)
	s.T().Logf("%d changes in %d loops", len(seen), loops)
}

// A writer that dies, at whatever moment, leaves whole commits or nothing, and the watch goes on with what others write.
func (s *watchProcessSuite) TestWritersThatAreKilledLeaveNoGap() {
	path := s.file("x.db")
	reg := s.open(path)
	first, err := reg.Revision(s.T().Context())
	s.Require().NoError(err)
	ctx, cancel := context.WithTimeout(s.T().Context(), 6*patience)
	defer cancel()
	start := func(i int) *child {
		c := startRole(s.T(), "write", s.mode.name, path, strconv.Itoa(i), "1", strconv.Itoa(math.MaxInt))
		s.Require().Equal("ready", c.hear())
		c.say("go")
		return c
	}
	const kills, between = 6, 150
	writers := []*child{start(0), start(1)}
	var seen []registry.Change
	for change, err := range reg.Watch(ctx, first) {
		s.Require().NoError(err)
		seen = append(seen, change)
		killed := len(seen) / between
		if len(seen)%between == 0 {
			writers[killed%2].kill()
			if killed == kills {
				break
			}
			writers[killed%2] = start(killed % 2)
		}
	}
	s.Require().Len(seen, kills*between)
	logged, err := reg.Changes(ctx, first, len(seen))
	s.Require().NoError(err)
	s.Require().Equal(logged, seen)
	for _, c := range writers {
		c.kill()
	}
}

// roleWrite writes with a number of its own, in all ways there are, until the registry is at a revision.
func roleWrite(args []string) error {
	reg, err := modeNamed(args[0]).open(background, args[1])
	if err != nil {
		return err
	}
	number := args[2]
	var seed uint64
	var until int64
	if _, err := fmt.Sscan(args[3], &seed); err != nil {
		return err
	}
	if _, err := fmt.Sscan(args[4], &until); err != nil {
		return err
	}
	w := changer{reg: reg, number: number, random: rand.New(rand.NewPCG(seed, uint64(number[0])))}
	saying("ready")
	hearing().Scan()
	for {
		revision, err := reg.Revision(background)
		if err != nil {
			return err
		}
		if revision >= until {
			return reg.Close()
		}
		if err := w.change(background); err != nil {
			return err
		}
	}
}

// changer makes changes, of one row or of many.
type changer struct {
	reg    *registry.Registry
	number string // of the process, which keys and ids begin with: some are everybody's
	random *rand.Rand
}

func (c changer) name() string {
	if c.random.IntN(3) == 0 {
		return fmt.Sprint("all/", c.random.IntN(10))
	}
	return fmt.Sprint(c.number, "/", c.random.IntN(20))
}

func (c changer) change(ctx context.Context) (err error) {
	module := registry.ModuleMetadata{ID: c.name(), Name: "m", Kind: registry.KindWasm}
	sql := func(query string, args ...any) error {
		return c.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.ExecContext(ctx, query, args...)
			return err
		})
	}
	switch c.random.IntN(12) {
	case 0, 1, 2, 3:
		_, err = c.reg.SetConfig(ctx, c.name(), c.random.IntN(1000))
	case 4:
		_, err = c.reg.DeleteConfig(ctx, c.name())
	case 5:
		_, err = c.reg.UpsertModule(ctx, module, registry.StateLoaded)
	case 6:
		_, err = c.reg.DeleteModule(ctx, c.name())
	case 7:
		return sql("UPDATE modules SET version = ? WHERE id LIKE ?", fmt.Sprint(c.random.IntN(1000)), c.number+"/%")
	case 8:
		return sql("DELETE FROM config WHERE key LIKE ?", fmt.Sprint("%/", c.random.IntN(10)))
	case 9:
		return sql(`INSERT OR REPLACE INTO modules (id, name, version, kind, state, updated_at)
			SELECT id, 'r', version, kind, state, updated_at FROM modules WHERE id LIKE ?`, c.number+"/%")
	case 10:
		return c.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			for range 10 {
				if _, err := tx.SetConfig(ctx, c.name(), "in a row"); err != nil {
					return err
				}
			}
			return nil
		})
	case 11: // undone: it leaves no change
		undone := fmt.Errorf("undone")
		err = c.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			if _, err := tx.SetConfig(ctx, c.name(), "undone"); err != nil {
				return err
			}
			return undone
		})
		if err == undone {
			return nil
		}
	}
	return err
}
