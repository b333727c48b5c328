package tests

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

var modelOperations = flag.Int("model.operations", 10_000, "how many operations TestModel does in each mode")

// modelComparison is how many operations there are from one comparison of everything to the next.
const modelComparison = 500

// modelWatched is how many there are from one look at what a watch gave to the next: it may wait for another handle's commit
// to be noticed.
const modelWatched = 50

// TestModel does random operations in each mode, and holds each answer, and from time to time everything that the registry
// has, against a model that is a few maps. A failure prints the seed that does the same again, and the last operations.
//
// What there is to do is in modelActs, modelWrites and modelReads: what joins the API joins these tables.
func TestModel(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			seed := randomSeed(t)
			t.Logf("%s=%d", seedVar, seed)
			r := newModelRun(t, m, seed)
			defer r.explain()
			r.run(*modelOperations)
		})
	}
}

// modelRun is a registry, the model of it, and what happens to both. All that is random comes from one source, so that
// the same seed gives the same operations.
type modelRun struct {
	*require.Assertions
	t      *testing.T
	ctx    context.Context
	mode   mode
	path   string
	seed   uint64
	random *rand.Rand
	now    time.Time // what the registry's clock says

	state   *modelState
	handles []*registry.Registry // one, or in a file at times two; operations go through any of them
	keks    []keyset.KEK         // the mode's own, and others
	kek     int                  // which of them wraps the keyset
	cached  map[*registry.Registry]bool
	keyset  keyset.Info
	watched *modelWatching

	audited int            // how many rows the subsystem's table has
	number  int            // of the operation
	depth   int            // how many callbacks it is in
	trail   []string       // what was done last
	met     map[string]int // how often what happened
	ended   bool           // run came to its end
}

func newModelRun(t *testing.T, m mode, seed uint64) *modelRun {
	r := &modelRun{
		Assertions: require.New(t), t: t, ctx: t.Context(), mode: m, path: m.path(t), seed: seed,
		random: rand.New(rand.NewPCG(seed, 0)),
		now:    time.Date(2026, 5, 20, 12, 34, 56, 123456789, time.FixedZone("", 2*60*60)),
		keks:   []keyset.KEK{m.kek, kekOf(1), kekOf(2)},
		met:    map[string]int{},
		cached: map[*registry.Registry]bool{},
	}
	r.state = &modelState{
		config: map[string]modelEntry{}, modules: map[string]registry.ModuleRecord{},
		limit: []int64{10, 64, 100, 500}[r.random.IntN(4)],
	}
	r.open(registry.WithLogLimit(r.state.limit))
	t.Cleanup(func() {
		r.watched.stop()
		for _, reg := range r.handles {
			_ = reg.Close()
		}
	})
	if m.encrypted() {
		var err error
		r.keyset, err = r.handles[0].KeysetInfo(r.ctx)
		r.NoError(err)
	}
	return r
}

// run does n operations.
func (r *modelRun) run(n int) {
	var deck []modelAct
	for r.number = 1; r.number <= n; r.number++ {
		if len(deck) == 0 {
			deck = r.shuffled()
		}
		act := deck[0]
		deck = deck[1:]
		r.meet(act.name)
		act.do(r)
		r.Zero(r.depth)
		r.outside().sameRevision()
		if r.number%modelWatched == 0 {
			r.sameWatched()
		}
		if r.number%modelComparison == 0 {
			r.compare()
		}
	}
	r.compare()
	if !r.mode.memory {
		r.reopen()
		r.compare()
	}
	r.ended = true
	if n >= 10_000 {
		for _, name := range modelMustMeet(r.mode) {
			r.Positive(r.met[name], "never met: %s", name)
		}
	}
}

// shuffled is a deck in which each act is as often as its weight says.
func (r *modelRun) shuffled() (deck []modelAct) {
	for _, act := range modelActs(r.mode) {
		for range act.weight {
			deck = append(deck, act)
		}
	}
	r.random.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
	return deck
}

// outside is a call through one of the handles, in no transaction.
func (r *modelRun) outside() *modelCalls { return r.through(r.handle()) }

// through is a call through a handle. One with a cache may lag 10 ms behind the other, unless it has shown the revision.
func (r *modelRun) through(reg *registry.Registry) *modelCalls {
	if r.cached[reg] {
		r.meet("a handle with a cache")
		_, err := reg.Revision(r.ctx)
		r.NoError(err)
	}
	return &modelCalls{modelRun: r, ctx: r.ctx, to: reg, state: r.state, encrypted: r.mode.encrypted()}
}

func (r *modelRun) handle() *registry.Registry { return pickOne(r.random, r.handles) }

// chance is true once in n times.
func (r *modelRun) chance(n int) bool { return r.random.IntN(n) == 0 }

func pickOne[T any](random *rand.Rand, list []T) T { return list[random.IntN(len(list))] }

// NoError and Equal are require's, which look at the stack even where there is nothing to say.
func (r *modelRun) NoError(err error, args ...any) {
	if err != nil {
		r.Assertions.NoError(err, args...)
	}
}

func (r *modelRun) Equal(want, got any, args ...any) {
	if !assert.ObjectsAreEqual(want, got) {
		r.Assertions.Equal(want, got, args...)
	}
}

// meet counts that something happened.
func (r *modelRun) meet(what string) { r.met[what]++ }

// say adds to the trail what is about to be done.
func (r *modelRun) say(format string, args ...any) {
	const kept = 60
	line := fmt.Sprintf("%6d %s"+format, append([]any{r.number, strings.Repeat("    ", r.depth)}, args...)...)
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	r.trail = append(r.trail, line)
	if len(r.trail) >= 2*kept {
		r.trail = slices.Clone(r.trail[kept:])
	}
}

// within counts the callbacks around what is done; what it returns must be called at their end.
func (r *modelRun) within() (leave func()) {
	r.depth++
	return func() { r.depth-- }
}

// explain says how to do a run that failed again, or, where it did not, what it met.
func (r *modelRun) explain() {
	if r.t.Failed() || !r.ended {
		r.t.Logf("operation %d failed; to replay it: %s=%d go test ./tests -run 'TestModel/%s$'\nthe last that were done:\n%s",
			r.number, seedVar, r.seed, r.mode.name, strings.Join(r.trail, "\n"))
		return
	}
	var met strings.Builder
	for _, what := range slices.Sorted(maps.Keys(r.met)) {
		fmt.Fprintf(&met, "\n%7d %s", r.met[what], what)
	}
	r.t.Logf("at revision %d after %d operations, in which was met:%s", r.state.revision, r.number-1, &met)
}
