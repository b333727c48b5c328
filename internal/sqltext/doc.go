// Package sqltext splits SQL into tokens as SQLite's tokenizer does (sqlite.org/src, tokenize.c), so that two definitions can be
// compared without regard to spaces, comments and case, and a statement can be looked at before it is compiled.
package sqltext
