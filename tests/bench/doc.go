// Bench measures stateregistry against what its user would take instead: hand-written SQL on the same driver, plain and
// with Tink, and on the driver that needs no C; gorm; bbolt; badger. All of them hold the same entries, decode and encode
// the same Go values, and sync each write.
//
// The sides of a job take turns. In each round, each side runs a slice of a few milliseconds, in an order that is shuffled
// anew; garbage is collected in between. So a machine that is slow for a while is slow for all, and the ratio of two sides
// is the median of the ratios of their rounds.
//
// It is a module of its own, so that importers of stateregistry need none of the others. `make bench` runs it from the
// repository's root and writes docs/benchmarks/results.md, and the plots beside it.
//
// The files: scale (how much is run), store and the peer_ files (who is measured), fixture (stores with entries in them),
// measure and stats (how), jobs_ (what), bars (what must hold), report, machine and plots (what is written).
package main
