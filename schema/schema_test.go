package schema

import (
	"database/sql/driver"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"
)

func TestColumnTypes(t *testing.T) { suite.Run(t, &columnSuite{}) }

// columnSuite is about the Go types of the columns.
type columnSuite struct{ suite.Suite }

// notText is what a driver hands out for a column that holds no text.
var notText = []any{int64(1), 1.5, true, time.Now(), []rune("native"), new(string)}

func (s *columnSuite) TestKindsAreStoredWithQuotes() {
	for kind, text := range map[ModuleKind]string{KindNative: `"native"`, KindWasm: `"wasm"`} {
		s.Require().True(kind.Valid())
		value, err := kind.Value()
		s.Require().NoError(err)
		s.Require().Equal(driver.Value(text), value)
		for _, src := range []any{text, []byte(text)} {
			got := ModuleKind("before")
			s.Require().NoError(got.Scan(src))
			s.Require().Equal(kind, got)
		}
	}
}

func (s *columnSuite) TestStatesAreStoredWithQuotes() {
	for state, text := range map[ModuleState]string{
		StateLoaded: `"loaded"`, StateStarting: `"starting"`, StateRunning: `"running"`,
		StateStopping: `"stopping"`, StateStopped: `"stopped"`, StateFailed: `"failed"`,
	} {
		s.Require().True(state.Valid())
		value, err := state.Value()
		s.Require().NoError(err)
		s.Require().Equal(driver.Value(text), value)
		for _, src := range []any{text, []byte(text)} {
			got := ModuleState("before")
			s.Require().NoError(got.Scan(src))
			s.Require().Equal(state, got)
		}
	}
}

// Quotes belong to the text, so that it can be shown and repaired as it is.
func (s *columnSuite) TestUnknownTextIsKeptAsItIsAndCannotBeStored() {
	for _, text := range []string{
		`"plugin"`, `plugin`, `"Native"`, `NATIVE`, `""`, `"`, `"native`, `native"`, `'native'`, `" native"`, `"native" `,
		`""native""`, "\"native\"\n", `null`, `"paused"`, "\xff",
	} {
		for _, src := range []any{text, []byte(text)} {
			kind, state := KindWasm, StateFailed
			s.Require().NoError(kind.Scan(src))
			s.Require().NoError(state.Scan(src))
			s.Require().Equal(ModuleKind(text), kind)
			s.Require().Equal(ModuleState(text), state)
			s.Require().False(kind.Valid())
			s.Require().False(state.Valid())
			_, err := kind.Value()
			s.Require().Error(err)
			_, err = state.Value()
			s.Require().Error(err)
		}
	}
}

// oxide-k cannot read a word without quotes, so it must not pass for one that was read.
func (s *columnSuite) TestAWordWithoutItsQuotesIsMarkedAndCannotBeStored() {
	for _, word := range []ModuleKind{KindNative, KindWasm} {
		for _, src := range []any{string(word), []byte(word)} {
			var kind ModuleKind
			s.Require().NoError(kind.Scan(src))
			s.Require().Equal(word+WithoutQuotes, kind)
			s.Require().False(kind.Valid())
			_, err := kind.Value()
			s.Require().Error(err)
		}
	}
	for _, word := range []ModuleState{StateLoaded, StateStarting, StateRunning, StateStopping, StateStopped, StateFailed} {
		for _, src := range []any{string(word), []byte(word)} {
			var state ModuleState
			s.Require().NoError(state.Scan(src))
			s.Require().Equal(word+WithoutQuotes, state)
			s.Require().False(state.Valid())
			s.Require().False(state.CanBecome(StateStarting))
			_, err := state.Value()
			s.Require().Error(err)
		}
	}
}

func (s *columnSuite) TestNullIsTheZeroValueWhichCannotBeStored() {
	kind, state, at := KindWasm, StateFailed, NewTimestamp(time.Now())
	s.Require().NoError(kind.Scan(nil))
	s.Require().NoError(state.Scan(nil))
	s.Require().NoError(at.Scan(nil))
	s.Require().Zero(kind)
	s.Require().Zero(state)
	s.Require().Zero(at)
	for _, column := range []driver.Valuer{kind, state, at} {
		_, err := column.Value()
		s.Require().Error(err)
	}
}

func (s *columnSuite) TestOnlyTextIsScanned() {
	for _, src := range notText {
		kind, state, at := KindWasm, StateFailed, NewTimestamp(time.Unix(1, 0))
		s.Require().Error(kind.Scan(src), "%T", src)
		s.Require().Error(state.Scan(src), "%T", src)
		s.Require().Error(at.Scan(src), "%T", src)
		s.Require().Equal(KindWasm, kind)
		s.Require().Equal(StateFailed, state)
		s.Require().Equal(NewTimestamp(time.Unix(1, 0)), at)
	}
}

func (s *columnSuite) TestTimestampsReadWhatOthersWrite() {
	at := func(nanos int) time.Time { return time.Date(2026, 5, 20, 12, 34, 56, nanos, time.UTC) }
	for text, want := range map[string]time.Time{
		"2026-05-20T12:34:56+00:00":           at(0),
		"2026-05-20T12:34:56.120+00:00":       at(120_000_000),
		"2026-05-20T12:34:56.000001+00:00":    at(1_000),
		"2026-05-20T12:34:56.123456789+00:00": at(123_456_789),
		"2026-05-20T12:34:56Z":                at(0),
		"2026-05-20T14:34:56.5+02:00":         at(500_000_000),
		"2026-05-20T05:04:56-07:30":           at(0),
		"2026-05-20 12:34:56":                 at(0),           // datetime('now')
		"2026-05-20 12:34:56.123":             at(123_000_000), // datetime('now', 'subsec')
		"0000-01-01T00:00:00Z":                time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59.999999999Z":      time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
	} {
		for _, src := range []any{text, []byte(text)} {
			var got Timestamp
			s.Require().NoError(got.Scan(src))
			s.Require().Equal(Timestamp{Time: want}, got, text)
			s.Require().Equal(time.UTC, got.Time.Location())
			s.Require().True(got.Valid())
		}
	}
}

func (s *columnSuite) TestTextThatIsNoTimeIsKeptAndCannotBeStored() {
	for _, text := range []string{
		"", "yesterday", "2026-05-20", "12:34:56", "1747744496", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z",
		"2026-05-20T12:34:56", "2026-05-20T25:00:00Z", "2026-05-20T12:34:56Z ", "12026-05-20T12:34:56Z", "\xff",
	} {
		got := NewTimestamp(time.Now())
		s.Require().NoError(got.Scan(text))
		s.Require().Equal(Timestamp{Text: text}, got)
		s.Require().False(got.Valid())
		_, err := got.Value()
		s.Require().Error(err, "%q", text)
	}
}

func (s *columnSuite) TestTimestampsAreStoredInUTCWithNineDigits() {
	for want, at := range map[string]time.Time{
		"2026-05-20T12:34:56.000000000+00:00": time.Date(2026, 5, 20, 12, 34, 56, 0, time.UTC),
		"2026-05-20T12:34:56.100000000+00:00": time.Date(2026, 5, 20, 14, 34, 56, 1e8, time.FixedZone("", 2*60*60)),
		"2026-05-20T12:34:56.123456789+00:00": time.Date(2026, 5, 20, 12, 34, 56, 123456789, time.UTC),
		"0000-01-01T00:00:00.000000000+00:00": time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC),
		"9999-12-31T23:59:59.999999999+00:00": time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC),
	} {
		value, err := NewTimestamp(at).Value()
		s.Require().NoError(err)
		s.Require().Equal(driver.Value(want), value)
		value, err = Timestamp{Time: at}.Value() // made without NewTimestamp
		s.Require().NoError(err)
		s.Require().Equal(driver.Value(want), value)
		var back Timestamp
		s.Require().NoError(back.Scan(want))
		s.Require().Equal(NewTimestamp(at), back)
	}
}

// A year is judged in UTC, as it is written.
func (s *columnSuite) TestYearsWithoutAnRFC3339FormCannotBeStored() {
	for _, at := range []time.Time{
		time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -2*60*60)),
		time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Date(0, 1, 1, 1, 0, 0, 0, time.FixedZone("", 2*60*60)),
		time.Unix(math.MaxInt32*1000, 0),
	} {
		_, err := NewTimestamp(at).Value()
		s.Require().Error(err, "%s", at)
	}
}

func (s *columnSuite) TestNewTimestampHasNoMonotonicClock() {
	now := time.Now()
	s.Require().Equal(now.UTC().Round(0), NewTimestamp(now).Time)
	s.Require().True(NewTimestamp(now).Time.Equal(now))
}

func (s *columnSuite) TestTextOrderIsTimeOrder() {
	start := time.Date(1999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -11*60*60))
	var texts []string
	for _, after := range []time.Duration{
		0, 1, 9, 10, 99, 100, 1000, 100_000_000, 120_000_000, 999_999_999, time.Second, 10 * time.Second, time.Hour,
		25 * time.Hour, 400 * 24 * time.Hour, 200 * 365 * 24 * time.Hour,
	} {
		value, err := NewTimestamp(start.Add(after).In(time.FixedZone("", int(after%7)*3600))).Value()
		s.Require().NoError(err)
		s.Require().Len(value, len(timestampLayout))
		texts = append(texts, value.(string))
	}
	s.Require().True(slices.IsSorted(texts))
}

// The table that oxide-k's module manager walks through.
func (s *columnSuite) TestWhatAStateCanBecome() {
	legal := map[ModuleState][]ModuleState{
		StateLoaded:   {StateStarting},
		StateStarting: {StateRunning, StateFailed},
		StateRunning:  {StateStopping, StateFailed},
		StateStopping: {StateStopped, StateFailed},
		StateStopped:  {StateStarting},
		StateFailed:   {StateStarting},
		"paused":      nil,
		"":            nil,
	}
	for from := range legal {
		for to := range legal {
			s.Require().Equal(slices.Contains(legal[from], to), from.CanBecome(to), "%s -> %s", from, to)
		}
	}
}
