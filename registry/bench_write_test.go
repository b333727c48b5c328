package registry_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// BenchmarkConcurrentSetConfig is durable writes from several goroutines at once, which share the disk's syncs.
func BenchmarkConcurrentSetConfig(b *testing.B) {
	for _, writers := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			reg, _ := openBench(b)
			var next atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for range writers {
				group.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						value := benchValue{Name: "new", Threads: int(i)}
						if _, err := reg.SetConfig(b.Context(), benchKey(rand.IntN(benchEntries)), value); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
		})
	}
}
