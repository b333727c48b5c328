package main

import (
	"fmt"
	"math"
	"strings"
)

// bar is a promise about speed.
type bar struct {
	promise string
	value   float64
	limit   float64
	atLeast bool // whether the limit is the least; otherwise the most
	unit    string
	met     bool
}

// bars are those whose jobs were run.
func bars(rs results) []bar {
	b := barsOf{results: rs}
	for _, side := range [][2]string{{plainRegistry, handWritten}, {encryptedRegistry, handWrittenEncrypted}} {
		ours, theirs := side[0], side[1]
		b.atMost("point read, "+ours+" over "+theirs, 0.8, b.ratio("read/64B", ours, theirs))
	}
	for _, ours := range []string{cachedRegistry, cachedEncrypted} {
		b.atMost("point read of a flat struct, "+ours+" over bbolt", 0.5, b.ratio("read/64B", ours, bboltPeer))
	}
	b.in("ns").atMost("Setting.Get of a flat struct, "+cachedRegistry, 150, b.median("setting", cachedRegistry)*1e9)
	b.in("allocations").atMost("Setting.Get of a flat struct, "+cachedRegistry, 0, b.median("setting/allocations", cachedRegistry))
	for _, size := range []string{"64 B", "4 KiB"} {
		id := "write/" + strings.ReplaceAll(size, " ", "") + "/1"
		for _, side := range [][2]string{{plainRegistry, handWritten}, {encryptedRegistry, handWrittenEncrypted}} {
			ours, theirs := side[0], side[1]
			b.atMost("durable write of "+size+", one writer, "+ours+" over "+theirs, 1.15, b.ratio(id, ours, theirs))
		}
	}
	b.least("throughput of 64 writers of 64 B, "+plainRegistry+" over "+handWritten, 8, b.ratio("write/64B/64", handWritten, plainRegistry))
	b.least("throughput of 64 writers of 64 B, "+plainRegistry+" over "+badgerPeer, 1, b.ratio("write/64B/64", badgerPeer, plainRegistry))
	for _, side := range [][2]string{{plainRegistry, handWritten}, {encryptedRegistry, handWrittenEncrypted}} {
		ours, theirs := side[0], side[1]
		b.atMost("list of all entries, "+ours+" over "+theirs, 1.05, b.ratio("list/all", ours, theirs))
	}
	b.ofGrowth()
	return b.bars
}

// ofGrowth are the bars about the smallest and the largest number of entries.
func (b *barsOf) ofGrowth() {
	for _, ours := range []string{plainRegistry, encryptedRegistry} {
		small, large := ends(b.results.get("growth/read"), ours)
		b.atMost("point read, "+large+" over "+small, 1.5, b.ratio("growth/read", large, small))
	}
	_, large := ends(b.results.get("growth/open"), encryptedRegistry)
	b.in("ms").atMost("opening, "+large, 10, b.median("growth/open", large)*1e3)
	small, large := ends(b.results.get("rotation"), encryptedRegistry)
	b.in("entries/s").least("rotation, "+large, 100_000, 1/b.median("rotation", large))
	// The heap's peak moves with the moments at which the collector runs: a growth of ten times would be no accident.
	b.in("MiB").atMost("heap of a rotation, "+large+" above "+small, 8,
		(b.median("rotation/heap", large)-b.median("rotation/heap", small))/(1<<20))
}

// ends are the labels of a side's first and last series.
func ends(r result, name string) (first, last string) {
	for _, s := range r.series {
		if s.name == name {
			if last = s.label(); first == "" {
				first = last
			}
		}
	}
	return first, last
}

// barsOf gathers bars; what was not measured is NaN, and none.
type barsOf struct {
	results results
	bars    []bar
	unit    string // of the next
}

func (b *barsOf) in(unit string) *barsOf {
	b.unit = unit
	return b
}

func (b *barsOf) atMost(promise string, limit, value float64) {
	b.add(bar{promise: promise, value: value, limit: limit, met: value <= limit})
}

func (b *barsOf) least(promise string, limit, value float64) {
	b.add(bar{promise: promise, value: value, limit: limit, atLeast: true, met: value >= limit})
}

func (b *barsOf) add(added bar) {
	added.unit, b.unit = b.unit, ""
	if !math.IsNaN(added.value) {
		b.bars = append(b.bars, added)
	}
}

func (b *barsOf) median(id, label string) float64 { return median(b.results.get(id).values(label)) }

func (b *barsOf) ratio(id, label, to string) float64 {
	r := b.results.get(id)
	return ratio(r.values(label), r.values(to))
}

// required is the limit in words.
func (b bar) required() string {
	most := "at most "
	if b.atLeast {
		most = "at least "
	}
	return most + b.number(b.limit)
}

func (b bar) number(value float64) string {
	text := number3(value)
	if b.unit == "" {
		return text + " ×"
	}
	return fmt.Sprintf("%s %s", text, b.unit)
}
