// Package migrate brings a database's tables up to date, and refuses the databases that it must not touch.
//
// Migrations come in sets: the core's, and one for each subsystem. Inspect says, without changing anything, whether a
// file is a registry (or an oxide-k database, which is a registry at version 0), whether its guards are in place, and
// whether migrations are pending. Apply runs everything pending, in the caller's one transaction, with the ledger's rows.
package migrate

import (
	"errors"
	"fmt"
)

// Why a database or a set of migrations is refused.
var (
	ErrNotRegistry = errors.New("not a registry")
	ErrCorrupt     = errors.New("registry is damaged")
	ErrNewer       = errors.New("schema is newer than this program")
	ErrChanged     = errors.New("migration changed after it was applied")
	ErrSet         = errors.New("bad set of migrations")
)

// refusal is one of the errors above with the reason that a person needs; it prints the reason only, since whoever
// passes it on says in words of its own what the cause is.
type refusal struct {
	cause  error
	reason error
}

func (r *refusal) Error() string   { return r.reason.Error() }
func (r *refusal) Unwrap() []error { return []error{r.cause, r.reason} }

func refuse(cause error, format string, args ...any) error {
	return &refusal{cause: cause, reason: fmt.Errorf(format, args...)}
}
