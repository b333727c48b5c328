// Package feed tells the watchers of one open registry that its change log has grown, and hands them what is new.
//
// While anybody watches, one goroutine, on one connection, follows the log: at once after each commit of this registry
// (Feed.Committed), and within an interval after the commits of others. It keeps the newest changes in memory, so that a
// commit is read once, however many watch. A watcher that is further behind than that reads the log by itself, at its own
// speed: nobody waits for it, and nothing is kept for it.
package feed
