package formatreader

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// ReadOxide reads a database of an oxide-k kernel, as Read does. The string is the one that its values are encrypted under,
// "" where they are not.
func ReadOxide(path, text string) (*Content, error) {
	tx, end, err := snapshot(path)
	if err != nil {
		return nil, err
	}
	defer end()
	var id, ledger int
	if err := tx.QueryRow("PRAGMA application_id").Scan(&id); err != nil {
		return nil, err
	}
	err = tx.QueryRow("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'migrations'").Scan(&ledger)
	if err != nil {
		return nil, err
	}
	if id != 0 || ledger != 0 {
		return nil, ErrNotRegistry
	}
	rows, err := tx.Query("SELECT key, value, updated_at FROM config ORDER BY key")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	c := &Content{}
	var refused []error
	for rows.Next() {
		var e Entry
		var at string
		if err := rows.Scan(&e.Key, &e.JSON, &at); err != nil {
			return nil, err
		}
		if e.UpdatedAt, err = parseTime(at); err == nil && text != "" {
			e.JSON, err = openOxide(text, e.JSON)
		}
		if err == nil && (!json.Valid([]byte(e.JSON)) || !utf8.ValidString(e.JSON)) {
			err = fmt.Errorf("%w: not JSON", ErrValue)
		}
		if err != nil {
			refused = append(refused, fmt.Errorf("config %q: %w", e.Key, err))
			continue
		}
		c.Config = append(c.Config, e)
	}
	return c, errors.Join(append(refused, rows.Err(), c.modules(tx, "0"))...)
}

// openOxide opens a value that oxide-k encrypted.
func openOxide(text, value string) (string, error) {
	ciphertext, err := base64.URLEncoding.DecodeString(value)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrValue, err)
	}
	key := sha256.Sum256([]byte(text))
	plaintext, err := openAESGCM(key[:], ciphertext, nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrValue, err)
	}
	return string(plaintext), nil
}
