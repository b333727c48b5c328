package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestSetting(t *testing.T) {
	runInModes(t, func() *settingSuite { return &settingSuite{} })
}

// settingSuite is about settings as their owner uses them; settingWatchSuite is about watching them.
type settingSuite struct{ rowSuite }

// quota is a setting's type: a value of several parts.
type quota struct {
	Threads int               `json:"threads"`
	Tags    []string          `json:"tags,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
}

var errThreads = errors.New("it needs a thread")

// A subsystem's settings.
var (
	threads = registry.Setting[int]{Name: "threads", Default: 8, Validate: func(n int) error {
		if n < 1 {
			return errThreads
		}
		return nil
	}}
	bounds = registry.Setting[quota]{
		Name: "bounds", Default: quota{Threads: 2, Tags: []string{"a"}, Env: map[string]string{"k": "v"}},
		Validate: func(l quota) error {
			if l.Threads < 1 {
				return errThreads
			}
			return nil
		},
	}
	greeting = registry.Setting[string]{Name: "greeting", Default: "hello"}
)

func (s *settingSuite) TestTheDefaultCountsWhereThereIsNoEntry() {
	ctx := s.T().Context()
	n, err := threads.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(8, n)
	l, err := bounds.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(bounds.Default, l)
	entries, err := s.reg.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Empty(entries, "reading stores nothing")
}

func (s *settingSuite) TestItIsAConfigEntry() {
	ctx := s.T().Context()
	revision, err := threads.Set(ctx, s.reg, 16)
	s.Require().NoError(err)
	s.Require().EqualValues(1, revision)
	n, err := threads.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(16, n)
	stored, err := registry.Get[int](ctx, s.reg, "threads")
	s.Require().NoError(err)
	s.Require().Equal(16, stored)

	_, err = s.reg.SetConfig(ctx, "bounds", json.RawMessage(`{"threads":3}`))
	s.Require().NoError(err)
	l, err := bounds.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(quota{Threads: 3}, l, "a stored value is a whole")

	deleted, err := bounds.Delete(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().True(deleted)
	l, err = bounds.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(bounds.Default, l)
	deleted, err = bounds.Delete(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().False(deleted)
}

func (s *settingSuite) TestConditionsHold() {
	ctx := s.T().Context()
	revision, err := threads.Set(ctx, s.reg, 16, registry.IfRevision(0))
	s.Require().NoError(err)
	_, err = threads.Set(ctx, s.reg, 17, registry.IfRevision(0))
	s.Require().ErrorIs(err, registry.ErrConflict)
	_, err = threads.Delete(ctx, s.reg, registry.IfRevision(revision+1))
	s.Require().ErrorIs(err, registry.ErrConflict)
	n, err := threads.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(16, n)
}

func (s *settingSuite) TestNothingInvalidIsStored() {
	ctx := s.T().Context()
	_, err := threads.Set(ctx, s.reg, 0)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorIs(err, errThreads)
	s.Require().ErrorContains(err, `"threads"`)
	n, err := threads.Modify(ctx, s.reg, func(int) (int, error) { return -1, nil })
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorIs(err, errThreads)
	s.Require().Zero(n)
	_, err = registry.Setting[int]{}.Set(ctx, s.reg, 1)
	s.Require().ErrorIs(err, registry.ErrInvalid, "a name that is none")
	_, err = registry.Setting[any]{Name: "any"}.Set(ctx, s.reg, func() {})
	s.Require().ErrorIs(err, registry.ErrEncode)
	revision, err := s.reg.Revision(ctx)
	s.Require().NoError(err)
	s.Require().Zero(revision)
}

// What others stored that is no such value is named: by its key, and the type that was wanted; the value is not.
func (s *settingSuite) TestAMismatchIsErrDecodeWithKeyAndType() {
	ctx := s.T().Context()
	for value, want := range map[string]registry.Setting[int]{`"s3cr3t"`: threads, `0`: threads, `[1]`: threads, `1.5`: threads} {
		_, err := s.reg.SetConfig(ctx, "threads", json.RawMessage(value))
		s.Require().NoError(err)
		n, err := want.Get(ctx, s.reg)
		s.Require().ErrorIs(err, registry.ErrDecode, value)
		s.Require().ErrorContains(err, `"threads"`)
		s.Require().ErrorContains(err, "into int")
		s.Require().NotContains(err.Error(), "s3cr3t")
		s.Require().Zero(n)
		_, err = threads.Modify(ctx, s.reg, func(n int) (int, error) { return n + 1, nil })
		s.Require().ErrorIs(err, registry.ErrDecode, value)
	}
	_, err := s.reg.SetConfig(ctx, "bounds", json.RawMessage(`{"threads":"many"}`))
	s.Require().NoError(err)
	l, err := bounds.Get(ctx, s.reg)
	s.Require().ErrorIs(err, registry.ErrDecode)
	s.Require().ErrorContains(err, "into tests.quota")
	s.Require().Zero(l)

	_, err = threads.Set(ctx, s.reg, 4) // which mends it
	s.Require().NoError(err)
	n, err := threads.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(4, n)
}

func (s *settingSuite) TestModifyBeginsWithWhatGetGives() {
	ctx := s.T().Context()
	for want := 9; want < 12; want++ {
		n, err := threads.Modify(ctx, s.reg, func(n int) (int, error) { return n + 1, nil })
		s.Require().NoError(err)
		s.Require().Equal(want, n)
	}
	own := errors.New("own")
	n, err := threads.Modify(ctx, s.reg, func(n int) (int, error) { return n + 1, own })
	s.Require().Same(own, err)
	s.Require().Zero(n)
	_, err = threads.Modify(ctx, s.reg, nil)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	n, err = threads.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(11, n)
}

// Whoever changes what a default refers to changes it for nobody else.
func (s *settingSuite) TestDefaultsAreNotShared() {
	ctx := s.T().Context()
	l, err := bounds.Get(ctx, s.reg)
	s.Require().NoError(err)
	l.Tags[0], l.Env["k"] = "changed", "changed"
	undone := errors.New("undone")
	_, err = bounds.Modify(ctx, s.reg, func(l quota) (quota, error) {
		l.Tags[0], l.Env["k"] = "changed", "changed"
		return l, undone
	})
	s.Require().ErrorIs(err, undone)
	l, err = bounds.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(quota{Threads: 2, Tags: []string{"a"}, Env: map[string]string{"k": "v"}}, l)

	at := time.Date(2026, 5, 20, 12, 34, 56, 789, time.UTC)
	since, err := registry.Setting[time.Time]{Name: "since", Default: at}.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().True(at.Equal(since))
	_, err = registry.Setting[any]{Name: "any", Default: func() {}}.Get(ctx, s.reg)
	s.Require().ErrorIs(err, registry.ErrEncode)
	type pair struct {
		A [2]float64
		B bool
		C uint8
		d string
	}
	stored := registry.Setting[pair]{Name: "pair", Default: pair{A: [2]float64{1, 2}, B: true, C: 3, d: "no JSON has it"}}
	p, err := stored.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(pair{A: [2]float64{1, 2}, B: true, C: 3}, p, "a default is as if it was stored")
	_, err = stored.Set(ctx, s.reg, stored.Default)
	s.Require().NoError(err)
	again, err := stored.Get(ctx, s.reg)
	s.Require().NoError(err)
	s.Require().Equal(p, again)
}

// What is valid only as long as nobody stores it is refused.
func (s *settingSuite) TestAValueIsJudgedAsItWillBeRead() {
	ctx := s.T().Context()
	type place struct {
		Name string
		Dir  string `json:"-"`
	}
	home := registry.Setting[place]{Name: "home", Default: place{Name: "n"}, Validate: func(p place) error {
		if p.Dir == "" {
			return errors.New("it has no folder")
		}
		return nil
	}}
	_, err := home.Set(ctx, s.reg, place{Name: "n", Dir: "/"})
	s.Require().ErrorIs(err, registry.ErrInvalid)
	_, err = home.Modify(ctx, s.reg, func(p place) (place, error) { p.Dir = "/"; return p, nil })
	s.Require().ErrorIs(err, registry.ErrInvalid)
	_, err = registry.Setting[fmt.Stringer]{Name: "any"}.Set(ctx, s.reg, time.Second)
	s.Require().ErrorIs(err, registry.ErrDecode, "nobody could read it")

	lax := registry.Setting[place]{Name: "home"}
	p, err := lax.Modify(ctx, s.reg, func(p place) (place, error) { return place{Name: "n", Dir: "/"}, nil })
	s.Require().NoError(err)
	s.Require().Equal(place{Name: "n"}, p, "as everybody reads it")
	revision, err := s.reg.Revision(ctx)
	s.Require().NoError(err)
	s.Require().EqualValues(1, revision)
}

// Whatever a validation returns, the error is about the setting.
func (s *settingSuite) TestTheErrorOfAValidationThatReadsNamesTheSetting() {
	ctx := s.T().Context()
	limit := registry.Setting[int]{Name: "limit", Validate: func(int) error {
		_, err := registry.Get[int](ctx, s.reg, "other")
		return err
	}}
	_, err := limit.Set(ctx, s.reg, 1)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	_, other := s.reg.SetConfig(ctx, "limit", 1)
	s.Require().NoError(other)
	_, decode := limit.Get(ctx, s.reg)
	s.Require().ErrorIs(decode, registry.ErrDecode)
	for _, err := range []error{err, decode} {
		detail, ok := errors.AsType[*registry.Error](err)
		s.Require().True(ok)
		s.Require().Equal("limit", detail.Key)
		s.Require().ErrorIs(err, registry.ErrConfigNotFound)
	}
}

// The same code runs in transactions.
func (s *settingSuite) TestItJoinsATransaction() {
	ctx := s.T().Context()
	undone := errors.New("undone")
	for _, outcome := range []error{undone, nil} {
		err := s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			if _, err := threads.Set(ctx, tx, 3); err != nil {
				return err
			}
			if _, err := greeting.Modify(ctx, tx, func(text string) (string, error) { return text + "!", nil }); err != nil {
				return err
			}
			n, err := threads.Get(ctx, tx)
			s.Require().NoError(err)
			s.Require().Equal(3, n)
			return outcome
		})
		s.Require().ErrorIs(err, outcome)
		want := map[error]string{undone: "8 hello", nil: "3 hello!"}[outcome]
		s.Require().NoError(s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
			n, err := threads.Get(ctx, tx)
			s.Require().NoError(err)
			text, err := greeting.Get(ctx, tx)
			s.Require().NoError(err)
			s.Require().Equal(want, fmt.Sprint(n, " ", text))
			return nil
		}))
	}
}

func (s *settingSuite) TestADefaultHasAJSONForm() {
	ctx := s.T().Context()
	_, err := registry.Setting[string]{Name: "none", Default: "a\xffb"}.Get(ctx, s.reg)
	s.Require().ErrorIs(err, registry.ErrEncode)
	_, err = registry.Setting[[1]string]{Name: "none", Default: [1]string{"a\xffb"}}.Get(ctx, s.reg)
	s.Require().ErrorIs(err, registry.ErrEncode)
}
