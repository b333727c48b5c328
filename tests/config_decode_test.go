package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestConfigDecoding(t *testing.T) {
	runInModes(t, func() *decodeSuite { return &decodeSuite{} })
}

// decodeSuite is about values that are not what the caller asked for.
type decodeSuite struct{ rowSuite }

type port uint8

type account struct {
	Name  string
	Login struct {
		Token int `json:"token"`
	}
}

// quoting is the kind of unmarshal method that tells the world what it met.
type quoting struct{}

func (*quoting) UnmarshalJSON(text []byte) error { return fmt.Errorf("cannot make sense of %s", text) }

type quotingText struct{}

func (*quotingText) UnmarshalText(text []byte) error { return fmt.Errorf("what is %q?", text) }

// posing fails with an error of encoding/json's own, as many libraries do.
type posing struct{}

func (*posing) UnmarshalJSON(text []byte) error {
	return &json.UnmarshalTypeError{Value: strings.Trim(string(text), `"`)}
}

type mistyping struct{}

func (*mistyping) MarshalJSON() ([]byte, error) {
	return nil, fmt.Errorf("there is no form for %q and %d", canary, canaryNumber)
}

type mistypingText struct{}

func (mistypingText) MarshalText() ([]byte, error) { return nil, errors.New(canary) }

func (s *decodeSuite) TestMismatchIsErrDecodeWithKeyAndTypeButNeverTheValue() {
	for name, c := range map[string]struct {
		value any
		into  any
		names string // the Go type that the message names
	}{
		"string into int":           {canary, new(int), "int"},
		"string into bool":          {canary, new(bool), "bool"},
		"string into struct":        {canary, new(account), "tests.account"},
		"string into slice":         {canary, new([]string), "[]string"},
		"string into bytes":         {canary, new([]byte), "[]uint8"},
		"string into time":          {canary, new(time.Time), "time.Time"},
		"string into address":       {canary, new(netip.Addr), "netip.Addr"},
		"string into json.Number":   {canary, new(json.Number), "json.Number"},
		"string into own JSON":      {canary, new(quoting), "tests.quoting"},
		"string into own text":      {canary, new(quotingText), "tests.quotingText"},
		"string into a poser":       {canary, new(posing), "tests.posing"},
		"number into a poser":       {canaryNumber, new(posing), "tests.posing"},
		"number into string":        {canaryNumber, new(string), "string"},
		"number into small integer": {canaryNumber, new(port), "tests.port"},
		"fraction into integer":     {float64(canaryNumber) / 1e9, new(int64), "int64"},
		"huge into float":           {json.Number("864209753186420975e999"), new(float64), "float64"},
		"number into time":          {canaryNumber, new(time.Time), "time.Time"},
		"number into own JSON":      {canaryNumber, new(quoting), "tests.quoting"},
		"object into string":        {map[string]any{canary: canaryNumber}, new(string), "string"},
		"object into big number":    {map[string]any{"x": canary}, new(map[string]*big.Int), "map[string]*big.Int"},
		"in a field":                {map[string]any{"Login": map[string]string{"token": canary}}, new(account), "tests.account"},
		"in an element":             {[]any{1, canary}, new([]int), "[]int"},
		"in a map":                  {map[string]any{canary: canary}, new(map[string]int), "map[string]int"},
		"in a map's key":            {map[string]int{canary: 1}, new(map[int]int), "map[int]int"},
		"in a quoted field": {map[string]string{"N": canary}, new(struct {
			N int `json:",string"`
		}), "struct"},
		"unknown to an interface": {canary, new(fmt.Stringer), "fmt.Stringer"},
	} {
		s.Run(name, func() {
			ctx, key := s.T().Context(), "the.key"
			_, err := s.reg.SetConfig(ctx, key, c.value)
			s.Require().NoError(err)
			s.eachRead(key, c.into, func(err error) {
				s.Require().ErrorIs(err, registry.ErrDecode)
				s.Require().NotErrorIs(err, registry.ErrInvalid)
				s.Require().Contains(err.Error(), `"the.key"`)
				s.Require().Contains(err.Error(), c.names)
				s.keepsSecret(err)
			})
		})
	}
}

func (s *decodeSuite) TestFailedEncodingKeepsTheValueSecret() {
	for name, value := range map[string]any{
		"own JSON":        &mistyping{},
		"own text":        map[string]any{"x": mistypingText{}},
		"number":          json.Number(canary),
		"raw JSON":        json.RawMessage(canary),
		"raw JSON's tail": json.RawMessage(`"x" ` + canary),
		"no UTF-8":        canary + "\xff",
		"key, no UTF-8":   map[string]int64{canary + "\xff": canaryNumber},
		"beside a func":   map[string]any{"a": canary, "b": func() {}},
	} {
		s.Run(name, func() {
			_, err := s.reg.SetConfig(s.T().Context(), "the.key", value)
			s.Require().ErrorIs(err, registry.ErrEncode)
			s.Require().Contains(err.Error(), `"the.key"`)
			s.keepsSecret(err)
		})
	}
	_, err := s.fresh(registry.WithMaxValue(9)).SetConfig(s.T().Context(), "the.key", canary)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.keepsSecret(err)
}

func (s *decodeSuite) TestDestinationMustBeAPointer() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "k", canary)
	s.Require().NoError(err)
	for _, dst := range []any{nil, "text", account{}, map[string]any{}, (*string)(nil), (*account)(nil)} {
		for _, key := range []string{"k", "missing"} {
			s.Require().ErrorIs(s.reg.GetConfig(ctx, key, dst), registry.ErrInvalid, "%T", dst)
		}
		entry, err := s.reg.GetConfigEntry(ctx, "k")
		s.Require().NoError(err)
		s.Require().ErrorIs(entry.Decode(dst), registry.ErrInvalid, "%T", dst)
	}
}

func (s *decodeSuite) TestStoredTextThatIsNoJSONHidesOnlyItself() {
	if s.mode.memory {
		s.T().Skip("nobody else can damage it")
	}
	ctx := s.T().Context()
	for _, key := range []string{"a", "b", "c"} {
		_, err := s.reg.SetConfig(ctx, key, key)
		s.Require().NoError(err)
	}
	for name, value := range map[string]string{
		"word": sqlText(canary), "empty": sqlText(""), "cut off": sqlText(`{"a": "` + canary),
		"two values": sqlText(`"x" "` + canary + `"`), "blob": "x'000102'",
		"single quotes": sqlText("'" + canary + "'"), "no UTF-8": sqlText("\"" + canary + "\xff\""),
	} {
		s.Run(name, func() {
			ctx := s.T().Context()
			sqliteDamage(s.T(), s.path, configGuards, fmt.Sprintf("UPDATE config SET value = %s WHERE key = 'b'", value))
			var raw json.RawMessage
			s.eachRead("b", new(any), func(err error) {
				s.Require().ErrorIs(err, s.mode.unreadable())
				s.Require().Contains(err.Error(), `"b"`)
				s.keepsSecret(err)
			})
			s.Require().ErrorIs(s.reg.GetConfig(ctx, "b", &raw), s.mode.unreadable())

			entries, err := s.reg.ListConfig(ctx, "")
			s.Require().NoError(err)
			s.Require().Len(entries, 3)
			for _, entry := range entries {
				var got string
				if entry.Key == "b" {
					s.Require().ErrorIs(entry.Decode(&got), s.mode.unreadable())
					continue
				}
				s.Require().NoError(entry.Decode(&got))
				s.Require().Equal(entry.Key, got)
			}
			report, err := s.reg.Verify(ctx)
			s.Require().ErrorIs(err, registry.ErrCorrupt)
			s.keepsSecret(err)
			for _, problem := range report.Problems {
				s.Require().Equal("b", problem.Key)
				s.Require().NotContains(problem.Text, canary)
			}

			_, err = s.reg.SetConfig(ctx, "b", "repaired")
			s.Require().NoError(err)
		})
	}
}

// sqlText is SQL that gives a text, whatever its bytes are.
func sqlText(bytes string) string { return fmt.Sprintf("CAST(x'%x' AS TEXT)", bytes) }

// eachRead calls check with the error of each way to read a value.
func (s *decodeSuite) eachRead(key string, into any, check func(error)) {
	ctx := s.T().Context()
	check(s.reg.GetConfig(ctx, key, into))
	entry, err := s.reg.GetConfigEntry(ctx, key)
	s.Require().NoError(err)
	check(entry.Decode(into))
	err = s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error { return tx.GetConfig(ctx, key, into) })
	check(err)
}
