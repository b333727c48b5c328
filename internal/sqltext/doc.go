// Package sqltext splits definitions of SQL into tokens as SQLite's tokenizer does (sqlite.org/src, tokenize.c), so that two can be
// compared without regard to spaces, comments and case. And it says how names and texts from a file are shown to people.
package sqltext
