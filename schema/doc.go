// Package schema holds the registry's tables: the migrations that make them, which are also what sqlc reads, and the Go
// types of their columns. Both are one source: no schema is written down twice.
//
// A migration is a file NNNNN_name.sql. It never changes once it was released: a registry refuses to open when the text
// of a migration that it was given differs from what was applied.
package schema

import "embed"

// Migrations are the core's migrations, in the order of their numbers.
//
//go:embed [0-9]*.sql
var Migrations embed.FS
