package main

import "iter"

// batchSize is how many entries Fill writes in a transaction.
const batchSize = 10_000

type entry[T any] struct {
	key   string
	value T
}

// batches cuts entries into pieces of batchSize, each good until the next is taken.
func batches[T any](entries iter.Seq2[string, T]) iter.Seq[[]entry[T]] {
	return func(yield func([]entry[T]) bool) {
		var batch []entry[T]
		for key, value := range entries {
			batch = append(batch, entry[T]{key, value})
			if len(batch) == batchSize {
				if !yield(batch) {
					return
				}
				batch = batch[:0]
			}
		}
		if len(batch) > 0 {
			yield(batch)
		}
	}
}
