package tests

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// BenchmarkRekey measures a Rekey of 100,000 entries, beside one goroutine that writes and one that reads all the time. It reports the
// longest that each of them waited.
func BenchmarkRekey(b *testing.B) {
	reg, err := openKEK1(b.Context(), b.TempDir()+"/registry.db")
	require.NoError(b, err)
	const entries = 100_000
	require.NoError(b, fillNumbers(b.Context(), reg, entries))
	kek := byte(1)
	var read, written time.Duration
	for b.Loop() {
		kek++
		stop := make(chan struct{})
		var busy sync.WaitGroup
		longest := func(longest *time.Duration, call func(i int) error) {
			busy.Go(func() {
				for i := 0; ; i++ {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					if err := call(i); err != nil {
						b.Error(err)
						return
					}
					*longest = max(*longest, time.Since(began))
				}
			})
		}
		longest(&read, func(i int) error {
			_, err := registry.Get[int](b.Context(), reg, numberKey(i%entries))
			return err
		})
		longest(&written, func(i int) error {
			_, err := reg.SetConfig(b.Context(), "written", i)
			return err
		})
		_, err := reg.Rekey(b.Context(), kekOf(kek))
		require.NoError(b, err)
		close(stop)
		busy.Wait()
	}
	b.ReportMetric(float64(read.Microseconds())/1000, "ms/longest-read")
	b.ReportMetric(float64(written.Microseconds())/1000, "ms/longest-write")
	require.NoError(b, reg.Close())
}
