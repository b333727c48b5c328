package registry

import (
	"github.com/oxide-k/stateregistry/db"
)

// deleteSamples empties the tables in which ANALYZE keeps samples of indexed values: whoever has an index on config's values has
// plaintext in them. The next ANALYZE fills them again.
func deleteSamples(q db.DBTX) error {
	tables, err := queries.ListSampleTables(background, q)
	if err != nil {
		return err
	}
	for _, table := range tables {
		switch table {
		case "sqlite_stat2":
			err = queries.DeleteSamples2(background, q)
		case "sqlite_stat3":
			err = queries.DeleteSamples3(background, q)
		case "sqlite_stat4":
			err = queries.DeleteSamples4(background, q)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
