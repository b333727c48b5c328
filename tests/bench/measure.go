package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"
)

// meter runs jobs, and keeps their results.
type meter struct {
	scale    scale
	random   *rand.Rand
	dir      string // for databases
	progress io.Writer
	began    time.Time
	results  results
	numbered uint64 // how many values were written, so that no two are the same
}

func newMeter(s scale, seed uint64, dir string, progress io.Writer) *meter {
	return &meter{
		scale: s, random: rand.New(rand.NewPCG(seed, 0)), dir: dir, progress: progress, began: time.Now(),
		numbered: 1 << 32, // above those of the entries
	}
}

func (m *meter) say(format string, args ...any) {
	fmt.Fprintf(m.progress, "%4.0f s  %s\n", time.Since(m.began).Seconds(), fmt.Sprintf(format, args...))
}

// job is what several sides do in turns.
type job struct {
	id, title, note string
	unit            unit
	slice           time.Duration // what a side runs in a round, about
	sides           []side
}

// side is one of those who do a job.
type side struct {
	name, variant, reference string                                                      // as in series
	workers                  int                                                         // goroutines; calls are a multiple of it
	run                      func(ctx context.Context, calls int) (time.Duration, error) // what the calls took
}

// measure runs jobs, one after the other.
func (m *meter) measure(ctx context.Context, jobs ...job) error {
	for _, j := range jobs {
		if err := m.measureJob(ctx, j); err != nil {
			return err
		}
	}
	return nil
}

// measureJob runs rounds of all sides, in an order that is new in each.
func (m *meter) measureJob(ctx context.Context, j job) error {
	m.say("%s", j.title)
	calls := make([]int, len(j.sides))
	r := result{id: j.id, title: j.title, note: j.note, unit: j.unit}
	for i, s := range j.sides {
		n, err := calibrate(ctx, s, j.slice)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", j.id, s.name, err)
		}
		calls[i] = n
		r.series = append(r.series, series{name: s.name, variant: s.variant, reference: s.reference})
	}
	for range m.scale.rounds {
		for _, i := range m.random.Perm(len(j.sides)) {
			runtime.GC() // one side's garbage is not another's to collect
			took, err := j.sides[i].run(ctx, calls[i])
			if err := errors.Join(err, ctx.Err()); err != nil {
				return fmt.Errorf("%s: %s: %w", j.id, j.sides[i].name, err)
			}
			r.series[i].values = append(r.series[i].values, took.Seconds()/float64(calls[i]))
		}
	}
	m.results = append(m.results, r)
	return nil
}

// calibrate is how many calls take about a slice; running them warms the side up.
func calibrate(ctx context.Context, s side, slice time.Duration) (int, error) {
	least := s.workers
	if s.workers > 1 {
		least *= 4 // a single call each would measure how the goroutines start and end
	}
	for calls := least; ; calls *= 2 {
		took, err := s.run(ctx, calls)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return 0, err
		}
		if took >= slice/4 {
			each := float64(took) / float64(calls)
			return max(least, int(float64(slice)/each)/s.workers*s.workers), nil
		}
	}
}

// timed makes calls from a number of goroutines, each with a random key and a number that is new, and says what they took.
func (m *meter) timed(
	ctx context.Context, keys []string, workers, calls int, call func(ctx context.Context, key string, n uint64) error,
) (time.Duration, error) {
	drawn := make([]string, calls)
	for i := range drawn {
		drawn[i] = keys[m.random.IntN(len(keys))]
	}
	first := m.numbered
	m.numbered += uint64(calls)
	work := func(from, to int) error {
		for i := from; i < to; i++ {
			if err := call(ctx, drawn[i], first+uint64(i)); err != nil {
				return err
			}
		}
		return nil
	}
	if workers == 1 {
		began := time.Now()
		err := work(0, calls)
		return time.Since(began), err
	}
	errs := make([]error, workers)
	var wait sync.WaitGroup
	began := time.Now()
	for w := range workers {
		wait.Go(func() { errs[w] = work(w*calls/workers, (w+1)*calls/workers) })
	}
	wait.Wait()
	return time.Since(began), errors.Join(errs...)
}
