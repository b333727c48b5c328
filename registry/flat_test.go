package registry

import (
	"context"
	"encoding/json"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type (
	flatNumber int
	flatInner  struct {
		A int8
		b string
	}
	flatOuter struct {
		flatInner
		Words [3]string
		Ratio float64 `json:"ratio,string"`
	}
	ownJSON    struct{ N int }
	ownText    string
	ownWriting int
	bearer     struct{ Inner [2]ownJSON }
)

func (*ownJSON) UnmarshalJSON([]byte) error     { return nil }
func (*ownText) UnmarshalText([]byte) error     { return nil }
func (ownWriting) MarshalText() ([]byte, error) { return nil, nil }
func (flatNumber) String() string               { return "" }

func TestWhatIsFlat(t *testing.T) {
	for _, c := range []struct {
		value any
		flat  bool
	}{
		{false, true}, {1, true}, {int8(1), true}, {uint64(1), true}, {1.5, true}, {float32(1), true}, {"", true},
		{uintptr(1), true}, {time.Second, true}, {json.Number("1"), true}, {flatNumber(1), true}, {struct{}{}, true},
		{[2]int{}, true}, {[0]string{}, true}, {flatInner{}, true}, {flatOuter{}, true}, {[2]flatOuter{}, true},
		{time.Time{}, false}, {netip.Addr{}, false}, {big.Int{}, false}, {[]int{}, false}, {json.RawMessage{}, false},
		{map[string]int{}, false}, {new(int), false}, {struct{ P *int }{}, false}, {struct{ p *int }{}, false},
		{struct{ *flatInner }{}, false}, {struct{ V any }{}, false}, {[1][]int{}, false}, {func() {}, false},
		{complex(1, 1), false}, {make(chan int), false},
		{ownJSON{}, false}, {ownText(""), false}, {ownWriting(1), false}, {bearer{}, false}, {struct{ ownText }{}, false},
		{[maxFlat]byte{}, true}, {[maxFlat + 1]byte{}, false},
	} {
		known := &readCache{}
		for range 2 {
			require.Equal(t, c.flat, known.isFlat(reflect.TypeOf(c.value)), "%T", c.value)
		}
	}
	require.False(t, new(readCache).isFlat(reflect.TypeFor[any]()))
}

// Into what is not zero encoding/json merges: -0 stays where the JSON says nothing of it.
func TestWhatIsZero(t *testing.T) {
	negative := math.Copysign(0, -1)
	for _, c := range []struct {
		value any
		zero  bool
	}{
		{0, true}, {"", true}, {0.0, true}, {flatOuter{}, true}, {[2]float32{}, true},
		{1, false}, {"x", false}, {negative, false}, {float32(negative), false}, {[2]float64{0, negative}, false},
		{flatOuter{Ratio: negative}, false}, {flatOuter{flatInner: flatInner{b: "x"}}, false}, {struct{ A [1]bool }{[1]bool{true}}, false},
	} {
		require.Equal(t, c.zero, isZero(reflect.ValueOf(c.value)), "%#v", c.value)
	}
}

func TestBytesOfAValueAreItsOwnAndItsStrings(t *testing.T) {
	require.EqualValues(t, reflect.TypeOf(1).Size(), bytesOf(reflect.ValueOf(1)))
	require.EqualValues(t, reflect.TypeOf("").Size()+3, bytesOf(reflect.ValueOf("abc")))
	outer := flatOuter{flatInner: flatInner{b: "1234"}, Words: [3]string{"", "a", "bc"}}
	require.EqualValues(t, reflect.TypeOf(outer).Size()+7, bytesOf(reflect.ValueOf(outer)))
}

// embedding reads in its own way.
type embedding struct{ *Registry }

func (embedding) GetConfig(_ context.Context, _ string, dst any) error {
	*dst.(*int) = 42
	return nil
}

func TestWhoEmbedsARegistryIsAskedItself(t *testing.T) {
	reg, err := Open(t.Context(), InMemory, WithReadCache(1<<20))
	require.NoError(t, err)
	defer reg.Close()
	_, err = reg.SetConfig(t.Context(), "k", 1)
	require.NoError(t, err)
	for range 2 {
		for r, want := range map[Reader]int{reg: 1, embedding{reg}: 42} {
			got, err := Setting[int]{Name: "k"}.Get(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, want, got)
		}
	}
}

func (s *readCacheSuite) TestAHitCostsNoAllocation() {
	type limits struct {
		PerHost int
		Agent   string
		Rates   [2]float64
	}
	_, err := s.reg.SetConfig(s.ctx, "limits", limits{2, "oxide", [2]float64{1, 2}})
	s.Require().NoError(err)
	number := Setting[int]{Name: "k", Validate: func(int) error { return nil }}
	whole := Setting[limits]{Name: "limits"}
	unset := Setting[int]{Name: "unset", Default: 1 << 20}
	text := Setting[string]{Name: "unset/text", Default: "default"}
	parts := Setting[limits]{Name: "unset/parts", Default: limits{3, "default", [2]float64{0.5, 0}}}
	for name, read := range map[string]func() error{
		"Setting":             func() error { _, err := number.Get(s.ctx, s.reg); return err },
		"Setting of a struct": func() error { _, err := whole.Get(s.ctx, s.reg); return err },
		"default":             func() error { _, err := unset.Get(s.ctx, s.reg); return err },
		"default text":        func() error { _, err := text.Get(s.ctx, s.reg); return err },
		"default struct":      func() error { _, err := parts.Get(s.ctx, s.reg); return err },
		"Get":                 func() error { _, err := Get[int](s.ctx, s.reg, "k"); return err },
		"TryGet of none":      func() error { _, _, err := TryGet[int](s.ctx, s.reg, "none"); return err },
	} {
		s.Require().NoError(read())
		s.withoutDatabase(func() {
			s.Require().Zero(testing.AllocsPerRun(100, func() {
				if read() != nil {
					panic("it failed")
				}
			}), name)
		})
	}
}
