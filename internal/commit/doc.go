// Package commit is the one way in for writes: a queue in front of the database's one writing connection.
package commit
