package readcache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"
)

const age = 10 * time.Millisecond

func TestCache(t *testing.T) { suite.Run(t, &cacheSuite{}) }

// cacheSuite has a clock that stands still.
type cacheSuite struct {
	suite.Suite
	now   time.Duration
	cache *Cache
}

// SetupTest makes an empty cache whose first look was made.
func (s *cacheSuite) SetupTest() {
	s.now = 0
	s.cache = New(1<<20, age, func() time.Duration { return s.now })
	s.look(func(l Look) { s.cache.ForgetAll(l) })
}

// look makes a look that is due.
func (s *cacheSuite) look(end func(Look)) {
	s.cache.Doubt()
	look, due := s.cache.Look()
	s.Require().True(due)
	end(look)
}

// keep reads a value, and has it kept if that may be.
func (s *cacheSuite) keep(key, text string) {
	fill := s.cache.Fill(key)
	fill.Keep(&Entry{Found: true, Text: text})
	fill.End()
}

// text is what the cache gives, "" where it gives nothing.
func (s *cacheSuite) text(key string) string {
	e, fresh := s.cache.Get(key)
	if e == nil {
		return ""
	}
	s.Require().True(fresh)
	return e.Text
}

func (s *cacheSuite) fresh() bool {
	_, fresh := s.cache.Get("")
	return fresh
}

func (s *cacheSuite) TestNothingIsGivenOutBeforeTheFirstLook() {
	cache := New(1<<20, age, func() time.Duration { return 0 })
	early := cache.Fill("k")
	_, fresh := cache.Get("k")
	s.Require().False(fresh)
	look, due := cache.Look()
	s.Require().True(due)
	cache.ForgetAll(look)
	early.Keep(&Entry{Found: true, Text: "1"})
	early.End()
	s.Require().Nil(cache.Peek("k"), "it was read before the cache had a position")
}

func (s *cacheSuite) TestALookIsDueWhenTheNewestBeganTooLongAgo() {
	s.keep("k", "1")
	s.now += age - 1
	s.Require().Equal("1", s.text("k"))
	_, due := s.cache.Look()
	s.Require().False(due)
	s.now++
	s.Require().Empty(s.text("k"))
	look, due := s.cache.Look()
	s.Require().True(due)
	s.now += age / 2 // so long does it take
	s.cache.Same(look)
	s.Require().Equal("1", s.text("k"))
	s.now += age / 2
	s.Require().Empty(s.text("k"), "it counts from its begin")
}

func (s *cacheSuite) TestADoubtDuringALookOutlivesIt() {
	s.keep("k", "1")
	s.cache.Doubt()
	look, due := s.cache.Look()
	s.Require().True(due)
	s.cache.Doubt()
	s.cache.Same(look)
	s.Require().False(s.fresh())
	s.look(s.cache.Same)
	s.Require().Equal("1", s.text("k"))
}

func (s *cacheSuite) TestWhatChangedIsForgotten() {
	s.keep("a", "1")
	s.keep("b", "1")
	s.look(func(l Look) { s.cache.Forget(l, []string{"a", "c"}) })
	s.Require().Empty(s.text("a"))
	s.Require().Equal("1", s.text("b"))
	s.look(s.cache.ForgetAll)
	s.Require().Empty(s.text("b"))
	s.Require().Zero(s.cache.bytes)
}

// What was read before a look that found something may be what that look would have taken out.
func (s *cacheSuite) TestWhatWasReadBeforeALookFoundSomethingIsNotKept() {
	for _, found := range []func(Look){s.cache.ForgetAll, func(l Look) { s.cache.Forget(l, nil) }} {
		fill := s.cache.Fill("k")
		s.look(found)
		fill.Keep(&Entry{Found: true, Text: "old"})
		fill.End()
		s.Require().False(s.fresh(), "its reader saw what others may not know")
		s.Require().Nil(s.cache.Peek("k"))
	}
	fill := s.cache.Fill("k")
	s.look(s.cache.Same)
	fill.Keep(&Entry{Found: true, Text: "new"})
	fill.End()
	s.Require().Equal("new", s.text("k"))
}

// Of two readers of a key the slower one may have read the older value.
func (s *cacheSuite) TestOfAKeyOneReaderAtATimeKeepsWhatItRead() {
	slow, quick := s.cache.Fill("k"), s.cache.Fill("k")
	quick.Keep(&Entry{Found: true, Text: "new"})
	quick.End()
	s.Require().Nil(s.cache.Peek("k"))
	s.Require().False(s.fresh(), "the quick one must not meet the old value now")
	slow.Keep(&Entry{Found: true, Text: "old"})
	slow.End()
	s.Require().False(s.fresh())
	s.look(func(l Look) { s.cache.Forget(l, []string{"k"}) })

	slow, quick = s.cache.Fill("k"), s.cache.Fill("k")
	slow.Keep(&Entry{Found: true, Text: "new"})
	slow.End()
	quick.Keep(&Entry{Found: true, Text: "new"})
	quick.End()
	s.Require().Equal("new", s.text("k"), "both read the same: nobody has doubts")
}

func (s *cacheSuite) TestAReadThatFailedCastsDoubtAndIsNotInTheWay() {
	fill := s.cache.Fill("k")
	fill.End()
	s.Require().False(s.fresh())
	s.look(s.cache.Same)
	s.keep("k", "1")
	s.Require().Equal("1", s.text("k"))
}

func (s *cacheSuite) TestItIsBounded() {
	const entries = 10
	text := strings.Repeat("x", 1000)
	bytes := size("k00", &Entry{Text: text})
	s.cache.maxBytes = entries * bytes
	for i := range 3 * entries {
		s.now += touchEvery
		s.look(s.cache.Same)
		s.keep(fmt.Sprintf("k%02d", i), text)
		s.Require().LessOrEqual(s.cache.bytes, s.cache.maxBytes)
		s.Require().Equal(text, s.text("k00"), "it was just asked for")
	}
	s.Require().Equal(entries, s.cache.entries.Len())
	s.Require().Equal(s.cache.maxBytes, s.cache.bytes)
	s.Require().Equal(text, s.text("k29"))
	s.Require().Empty(s.text("k20"), "the ones that were not asked for the longest went")
	for i := range 3 * entries {
		s.keep(fmt.Sprintf("k%02d", i), "1")
	}
	s.look(s.cache.ForgetAll)
	s.Require().Zero(s.cache.bytes)
}

func (s *cacheSuite) TestWhatIsTooLargeIsNotKeptAndNorIsWhatItReplaced() {
	s.cache.maxBytes = 8 * (Overhead + 100)
	fits := strings.Repeat("x", 99)
	s.keep("k", fits)
	s.Require().Equal(fits, s.text("k"))
	s.keep("k", fits+"x")
	s.Require().Nil(s.cache.Peek("k"))
	s.Require().True(s.fresh())
	s.Require().Zero(s.cache.bytes)
}

func (s *cacheSuite) TestAttachedIsOnlyWhatBelongsToTheEntry() {
	s.keep("k", "1")
	first := s.cache.Peek("k")
	s.cache.Attach("k", first, &Entry{Found: true, Text: "1", Decoded: 1, Extra: 8})
	second := s.cache.Peek("k")
	s.Require().Equal(1, second.Decoded)
	s.Require().EqualValues(Overhead+2+8, s.cache.bytes)
	s.cache.Attach("k", first, &Entry{Found: true, Text: "1", Decoded: 2})
	s.Require().Same(second, s.cache.Peek("k"))
	s.cache.Attach("k", second, &Entry{Found: true, Text: "1", Extra: 1 << 20})
	s.Require().Same(second, s.cache.Peek("k"), "too large")
	s.keep("k", "2")
	s.cache.Attach("k", second, &Entry{Found: true, Text: "1", Decoded: 3})
	s.Require().Equal("2", s.text("k"))
	s.cache.Attach("none", second, &Entry{})
	s.Require().Nil(s.cache.Peek("none"))
}

func (s *cacheSuite) TestAfterCloseNothingIsKept() {
	s.keep("k", "1")
	fill := s.cache.Fill("l")
	s.cache.Close()
	fill.Keep(&Entry{Found: true, Text: "1"})
	fill.End()
	s.keep("m", "1")
	s.Require().Zero(s.cache.bytes)
	s.Require().Zero(s.cache.entries.Len())
}
