package registry

import (
	"fmt"

	"github.com/oxide-k/stateregistry/db"
)

// Whatever walks through the entries by their keys misses a row that a damaged index lacks. Before the registry relies on having
// visited all of them, it asks the table itself.

// hiddenRows returns the error for config rows that no walk came to.
func hiddenRows(rows int64) error {
	return fmt.Errorf("%w: config rows that its index lacks: %d; Verify names the damage, the SQL statement REINDEX config repairs it",
		ErrCorrupt, rows)
}

// checkNoneStale returns ErrCorrupt if a row is not under the marker, after all that can be found were put under it.
func checkNoneStale(q db.DBTX, marker string) error {
	rows, err := queries.CountStaleConfig(background, q, marker)
	if err == nil && rows != 0 {
		err = hiddenRows(rows)
	}
	return err
}

// checkNoneEncrypted returns ErrCorrupt if a row is still encrypted, after all that can be found were decrypted.
func checkNoneEncrypted(q db.DBTX) error {
	rows, err := queries.CountEncryptedConfig(background, q)
	if err == nil && rows != 0 {
		err = hiddenRows(rows)
	}
	return err
}

// countHidden returns how many of the rows that are not under the marker cannot be found by their keys, if found are those that can.
func countHidden(q db.DBTX, marker string, found int) (int64, error) {
	rows, err := queries.CountStaleConfig(background, q, marker)
	return max(0, rows-int64(found)), err
}

// rebuildIndexes makes config's indexes anew from its rows. One of a stranger's, on values, may be damaged and hold plaintext for which
// there is no row; the rewriting of the file would copy it.
func rebuildIndexes(q db.DBTX) error {
	_, err := q.ExecContext(background, "REINDEX main.config")
	return err
}
