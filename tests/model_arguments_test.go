package tests

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// modelKeys are few, so that the same ones are written, deleted and written again: neighbours and prefixes of each other,
// and what means something to SQL, to LIKE, to GLOB, to JSON or to the form of encrypted values.
var modelKeys = []string{
	"a", "a\x01", "a ", "a/", "a/b", "a/b/c", "a0", "aa", "a\x7f", "a\u0080", "aé", "ae\u0301", "b", "B", "ab", "/", "0",
	"%", "_", "a%", "a_", "*", "a*", "[a]", "'", "a'b", `"`, `a"b`, `\`, "`", "--", "'; DROP TABLE config; --", ":key", "?1",
	"enc:v1:00000000:AAAA", "null", "{}", " ", "\t\n", "\x01", "\x7f", "ключ", "ключ/а", "日本", "🦀", "🦀🦀",
	"\ufeff", "\uffff", "\ufffd", "\U0010FFFF", "\u2028",
	strings.Repeat("x", registry.MaxKey), strings.Repeat("x", registry.MaxKey-1), strings.Repeat("ж", registry.MaxKey/2),
}

func (r *modelRun) key() string { return pickOne(r.random, modelKeys) }

// heldKey is more often one that the map has than key would find.
func heldKey[V any](r *modelRun, held map[string]V) string {
	key := r.key()
	if _, exists := held[key]; !exists {
		key = r.key()
	}
	return key
}

// prefix is of the keys that there are, or of none, or of all.
func (r *modelRun) prefix() string {
	runes := []rune(r.key())
	switch r.random.IntN(6) {
	case 0:
		return ""
	case 1:
		return string(runes)
	case 2:
		return string(append(runes[:min(len(runes), 100)], pickOne(r.random, []rune("/\x01\U0010FFFFzé"))))
	default:
		return string(runes[:1+r.random.IntN(min(len(runes), 3))])
	}
}

// modelValue is a Go value, and the JSON that is stored for it.
type modelValue struct {
	value any
	text  string
}

type modelStruct struct {
	Name  string   `json:"name"`
	Sizes []int    `json:"sizes,omitempty"`
	Next  *float64 `json:"next"`
}

var modelScalars = []modelValue{
	{nil, `null`}, {true, `true`}, {false, `false`}, {(*int)(nil), `null`}, {[]int(nil), `null`}, {[]int{}, `[]`},
	{0, `0`}, {-1, `-1`}, {int64(math.MaxInt64), `9223372036854775807`}, {uint64(math.MaxUint64), `18446744073709551615`},
	{1.5, `1.5`}, {float32(0.1), `0.1`}, {1e21, `1e+21`}, {1e-7, `1e-7`}, {json.Number("12.50"), `12.50`},
	{"", `""`}, {"text", `"text"`}, {`a "quote" and \`, `"a \"quote\" and \\"`}, {"<a href='x'>&", `"<a href='x'>&"`},
	{"ключ 🦀", `"ключ 🦀"`},
	{"\x01\n\t\x7f", "\"\\u0001\\n\\t\x7f\""}, {"\u2028", `"\u2028"`}, {"\ufffd", "\"\ufffd\""},
	{json.RawMessage(`"\ufffd"`), `"\ufffd"`},
	{json.RawMessage(" { \"b\" : [ 1 , 2 ],\n\"a\":{} } "), `{"b":[1,2],"a":{}}`},
	{"enc:v1:00000000:AAAA", `"enc:v1:00000000:AAAA"`}, {[]byte("bytes"), `"Ynl0ZXM="`}, {registry.KindWasm, `"wasm"`},
	{time.Date(2026, 5, 20, 12, 34, 56, 1, time.UTC), `"2026-05-20T12:34:56.000000001Z"`},
	{modelStruct{Name: "n", Sizes: []int{1, 2}}, `{"name":"n","sizes":[1,2],"next":null}`},
	{&modelStruct{}, `{"name":"","next":null}`},
	{map[int]string{2: "b", 1: "a"}, `{"1":"a","2":"b"}`},
}

// modelMaxValue is the registry's limit: so low that a value that is too long costs little.
const modelMaxValue = 100_000

// jsonValue is a random value, in which others may be nested.
func (r *modelRun) jsonValue(depth int) modelValue {
	kind := r.random.IntN(20)
	switch {
	case kind == 0 && r.chance(5):
		n := pickOne(r.random, []int{5_000, 20_000, modelMaxValue - 2})
		return modelValue{strings.Repeat("x", n), `"` + strings.Repeat("x", n) + `"`}
	case kind < 7:
		n := r.random.Int64() >> r.random.IntN(64)
		return modelValue{n, strconv.FormatInt(n, 10)}
	case kind < 10 && depth > 0:
		list, texts := []any{}, []string{}
		for range r.random.IntN(4) {
			v := r.nested(depth)
			list, texts = append(list, v.value), append(texts, v.text)
		}
		return modelValue{list, "[" + strings.Join(texts, ",") + "]"}
	case kind < 13 && depth > 0:
		object, texts := map[string]any{}, []string{}
		for _, name := range []string{"", "A", "a", "b c", "ключ"} { // in the order of their bytes
			if r.chance(2) {
				v := r.nested(depth)
				object[name] = v.value
				texts = append(texts, `"`+name+`":`+v.text)
			}
		}
		return modelValue{object, "{" + strings.Join(texts, ",") + "}"}
	}
	return pickOne(r.random, modelScalars)
}

// nested is a value that is small enough to be in another.
func (r *modelRun) nested(depth int) modelValue {
	if v := r.jsonValue(depth - 1); len(v.text) < 1000 {
		return v
	}
	return modelScalars[0]
}

var (
	modelKinds  = []registry.ModuleKind{registry.KindNative, registry.KindWasm}
	modelStates = []registry.ModuleState{
		registry.StateLoaded, registry.StateStarting, registry.StateRunning,
		registry.StateStopping, registry.StateStopped, registry.StateFailed,
	}
	modelTexts = []string{"", "Oxide Mirror", "0.3.0", `it's "quoted"`, "имя 🦀", "two\nlines", strings.Repeat("long ", 300)}
)

// metadata is random metadata for a module.
func (r *modelRun) metadata(id string) registry.ModuleMetadata {
	m := registry.ModuleMetadata{ID: id, Kind: pickOne(r.random, modelKinds)}
	m.Name, m.Version = pickOne(r.random, modelTexts), pickOne(r.random, modelTexts)
	if r.chance(2) {
		text := pickOne(r.random, modelTexts)
		m.Description = &text
	}
	return m
}

// tick moves the registry's clock, mostly on, at times back, and returns the time that a write now bears.
func (r *modelRun) tick() time.Time {
	r.now = r.now.Add(time.Duration(r.random.Int64N(int64(time.Hour))) - 5*time.Minute)
	return r.now.UTC()
}

// modelCondition is an IfRevision, or none.
type modelCondition struct {
	opts []registry.WriteOption
	met  bool
	text string
}

// condition is for a row at a revision; 0 is that of no row.
func (r *modelRun) condition(current int64) modelCondition {
	var revision int64
	switch r.random.IntN(10) {
	case 0:
		revision = 0
	case 1, 2:
		revision = current
	case 3:
		revision = max(0, current-1-r.random.Int64N(3))
	case 4:
		revision = current + 1 + r.random.Int64N(3)
	case 5:
		revision = pickOne(r.random, []int64{1, r.state.revision, r.state.revision + 1, math.MaxInt64})
	default:
		return modelCondition{met: true}
	}
	opts := []registry.WriteOption{registry.IfRevision(revision)}
	return modelCondition{opts, revision == current, " if at " + strconv.FormatInt(revision, 10)}
}

// someKeys are a few keys, each once, in a random order.
func (r *modelRun) someKeys() []string {
	keys := slices.Clone(modelKeys)
	r.random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys[:1+r.random.IntN(8)]
}
