// Package dbfile is what this module knows of the file system: which file a path means, whether that file may hold a
// database, how a new file gets its name without taking another's, and private folders for unfinished work. It opens no
// file that may be a database: closing a second descriptor of one drops the locks that the process holds on it.
package dbfile

import "errors"

var (
	// ErrUnfit says that the path, or what is there or beside it, cannot be used as a database.
	ErrUnfit = errors.New("no place for a registry")
	// ErrTorn says that a database's journal is there, and the content of the database is not.
	ErrTorn = errors.New("the file and its journal are not together")
	// ErrReplaced says that the path no longer leads to the file that it led to.
	ErrReplaced = errors.New("the path leads to another file by now, or to none")
)
