// Package commit is the one way in for writes: a queue in front of the database's one writing connection.
//
// A sync of the disk costs more than ten single writes, so those that wait at the same time share one: whoever has the turn
// begins a transaction, runs the single writes that wait by then beside its own, and commits them together (group commit).
// A lone write waits for nobody. Everything else has a transaction of its own, and takes turns with the single ones.
package commit
