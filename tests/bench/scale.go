package main

import "time"

// scale is how much of everything is run.
type scale struct {
	rounds     int
	slice      time.Duration // what a side runs in a round
	writeSlice time.Duration // the same where it writes: long enough to have its share of checkpoints

	entries      int   // of 64 B and of 4 KiB
	largeEntries int   // of 256 KiB
	growth       []int // the numbers of entries of the jobs that compare them; the second and the last are rotated too
	rotations    int   // rounds of them
	watched      int   // changes
}

// fullScale takes some eight minutes on a machine with two cores.
func fullScale() scale {
	return scale{
		rounds: 21, slice: 30 * time.Millisecond, writeSlice: 100 * time.Millisecond,
		entries: 10_000, largeEntries: 200, growth: []int{1_000, 10_000, 100_000, 1_000_000},
		rotations: 3, watched: 101,
	}
}

// quickScale is for a look, in less than a minute: too short to rely on.
func quickScale() scale {
	return scale{
		rounds: 5, slice: 5 * time.Millisecond, writeSlice: 20 * time.Millisecond,
		entries: 10_000, largeEntries: 20, growth: []int{1_000, 10_000, 100_000},
		rotations: 1, watched: 11,
	}
}
