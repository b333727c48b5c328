package tests

import (
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// BenchmarkRotationUnderLoad rotates 100,000 entries while a reader and a writer go on in this process, and in a second one
// that was open before. Whoever sees an error fails it. It reports what a rotation takes, in the median and at worst, and
// the longest that any of the four waited for one call.
func BenchmarkRotationUnderLoad(b *testing.B) {
	const entries = 100_000
	path := filepath.Join(b.TempDir(), "registry.db")
	reg, err := openKEK1(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	defer reg.Close()
	if err := fillNumbers(b.Context(), reg, entries); err != nil {
		b.Fatal(err)
	}
	other := startRole(b, "follow", path, strconv.Itoa(entries))
	if other.hear() != "ready" {
		b.Fatal("the other process is not ready")
	}
	own := follow(reg, entries)

	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := reg.RotateKeyset(b.Context()); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	ownReads, ownWrites, err := own.end()
	if err != nil {
		b.Fatal(err)
	}
	reads, writes, err := ended(other)
	if err != nil {
		b.Fatal(err)
	}
	longest := slices.Max([]time.Duration{reads.longest, writes.longest, ownReads.longest, ownWrites.longest})
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds(), "s/median")
	b.ReportMetric(took[len(took)-1].Seconds(), "s/worst")
	b.ReportMetric(longest.Seconds(), "s/longest-wait")
	b.ReportMetric(float64(ownReads.calls+reads.calls)/b.Elapsed().Seconds(), "reads/s")
	b.ReportMetric(float64(ownWrites.calls+writes.calls)/b.Elapsed().Seconds(), "writes/s")
}
