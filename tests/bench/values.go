package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
)

// flat is the value of most jobs: what a subsystem's setting looks like. The note makes it as long as it has to be.
type flat struct {
	Name    string `json:"name"`
	Threads int    `json:"threads"`
	Note    string `json:"note"`
}

// withSlice is a value that a cache cannot hand out by copying the struct.
type withSlice struct {
	Name    string   `json:"name"`
	Threads int      `json:"threads"`
	Tags    []string `json:"tags"`
}

// The sizes of values, in bytes of JSON.
const (
	smallSize  = 64
	mediumSize = 4 << 10
	largeSize  = 256 << 10
)

// newFlat makes values of a size in JSON, the n-th of them always the same, and no two that follow each other alike: a
// write that changes no byte is cheaper than any real one, and one that changes only some pages of a long value too.
func newFlat(size int) func(n uint64) flat {
	empty, err := json.Marshal(flat{Threads: smallestNumber})
	if err != nil {
		panic(err) // a struct of strings and a number
	}
	const name = 8
	note := size - len(empty) - name
	letters := randomLetters(note + 64<<10)
	return func(n uint64) flat {
		r := mixed(n)
		at, name0 := int(r%(64<<10)), int(r>>32%(64<<10))
		return flat{Name: letters[name0 : name0+name], Threads: number(r), Note: letters[at : at+note]}
	}
}

// newWithSlice is newFlat for values with a slice, of some 64 B.
func newWithSlice() func(n uint64) withSlice {
	letters := randomLetters(64<<10 + 8)
	return func(n uint64) withSlice {
		r := mixed(n)
		at := int(r % (64 << 10))
		return withSlice{Name: letters[at : at+4], Threads: number(r), Tags: []string{letters[at : at+3], letters[at+3 : at+8]}}
	}
}

const smallestNumber = 1_000_000

// number always has seven digits.
func number(r uint64) int { return smallestNumber + int(r>>16%9_000_000) }

// mixed is n's SplitMix64: random-looking, and cheap enough to be timed.
func mixed(n uint64) uint64 {
	n += 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

func randomLetters(n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	r := rand.New(rand.NewPCG(1, 2))
	text := make([]byte, n)
	for i := range text {
		text[i] = letters[r.IntN(len(letters))]
	}
	return string(text)
}

// keys are those of n entries, in order. They share one string, so that a million of them cost the garbage collector little.
func keys(n int) []string {
	const width = len("bench/0000000")
	text := make([]byte, 0, n*width)
	for i := range n {
		text = fmt.Appendf(text, "bench/%07d", i)
	}
	all, list := string(text), make([]string, n)
	for i := range list {
		list[i] = all[i*width : (i+1)*width]
	}
	return list
}

// prefix is that of a hundred entries, or of all if there are fewer.
const (
	prefix        = "bench/00000"
	prefixEntries = 100
)
