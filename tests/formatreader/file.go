package formatreader

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3"
)

// Content is what a file holds.
type Content struct {
	Version    int    // of the schema
	RegistryID string // 32 hex digits
	Revision   int64  // of the newest change
	Config     []Entry
	Modules    []Module
	Keyset     *Keyset // of an encrypted registry
}

// Entry is a row of config.
type Entry struct {
	Key       string
	JSON      string
	KeyID     uint32 // of the key that it is encrypted under
	Revision  int64
	UpdatedAt time.Time
}

// Module is a row of modules.
type Module struct {
	ID, Name, Version string
	Kind, State       string // without quotes
	Description       *string
	Revision          int64
	UpdatedAt         time.Time
}

const (
	applicationID = 0x6f787267
	firstVersion  = 2
	keysetVersion = 3
	lastVersion   = 3
)

// Read reads a plaintext registry. Rows that cannot be read are left out and named in the error, which then comes with the
// others.
func Read(path string) (*Content, error) { return read(path, nil) }

// ReadEncrypted reads an encrypted registry, as Read does.
func ReadEncrypted(path string, kek KEK) (*Content, error) { return read(path, &kek) }

func read(path string, kek *KEK) (*Content, error) {
	tx, end, err := snapshot(path)
	if err != nil {
		return nil, err
	}
	defer end()
	c := &Content{}
	if err := c.header(tx); err != nil {
		return nil, err
	}
	if c.Keyset, err = c.keyset(tx, kek); err != nil {
		return nil, err
	}
	return c, errors.Join(c.config(tx), c.modules(tx, "revision"))
}

// snapshot opens a file for reading and begins a transaction.
func snapshot(path string) (tx *sql.Tx, end func(), err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	pool, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: abs}).String()+"?mode=ro")
	if err != nil {
		return nil, nil, err
	}
	if tx, err = pool.Begin(); err != nil {
		return nil, nil, errors.Join(err, pool.Close())
	}
	return tx, func() {
		_ = tx.Rollback()
		_ = pool.Close()
	}, nil
}

// header reads what says that the file is a registry, and which.
func (c *Content) header(tx *sql.Tx) error {
	var id int64
	var encoding string
	if err := tx.QueryRow("PRAGMA application_id").Scan(&id); err != nil {
		return err
	}
	if err := tx.QueryRow("PRAGMA encoding").Scan(&encoding); err != nil {
		return err
	}
	if id != applicationID || encoding != "UTF-8" {
		return ErrNotRegistry
	}
	err := tx.QueryRow("SELECT coalesce(max(number), 0) FROM migrations WHERE set_name = 'core'").Scan(&c.Version)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotRegistry, err)
	}
	if c.Version > lastVersion {
		return ErrNewer
	}
	if c.Version < firstVersion {
		return ErrNotRegistry
	}
	if err := tx.QueryRow("SELECT id FROM registry WHERE one = 1").Scan(&c.RegistryID); err != nil {
		return fmt.Errorf("%w: %w", ErrNotRegistry, err)
	}
	return tx.QueryRow("SELECT coalesce(max(revision), 0) FROM changes").Scan(&c.Revision)
}

func (c *Content) config(tx *sql.Tx) error {
	rows, err := tx.Query("SELECT key, value, typeof(key), typeof(value), updated_at, revision FROM config ORDER BY key")
	if err != nil {
		return err
	}
	defer rows.Close()
	var refused []error
	for rows.Next() {
		var e Entry
		var value, keyType, valueType, at string
		if err := rows.Scan(&e.Key, &value, &keyType, &valueType, &at, &e.Revision); err != nil {
			return err
		}
		if err := c.entry(&e, value, keyType == "text" && valueType == "text", at); err != nil {
			refused = append(refused, fmt.Errorf("config %q: %w", e.Key, err))
			continue
		}
		c.Config = append(c.Config, e)
	}
	return errors.Join(append(refused, rows.Err())...)
}

func (c *Content) entry(e *Entry, value string, isText bool, at string) (err error) {
	if !isText || !utf8.ValidString(e.Key) {
		return ErrRow
	}
	if e.UpdatedAt, err = parseTime(at); err != nil {
		return err
	}
	e.JSON = value
	if c.Keyset != nil {
		if e.KeyID, e.JSON, err = c.Keyset.open(c.RegistryID, e.Key, value); err != nil {
			return err
		}
	} else if strings.HasPrefix(value, "enc:") {
		return ErrEncrypted
	}
	if !json.Valid([]byte(e.JSON)) || !utf8.ValidString(e.JSON) {
		return fmt.Errorf("%w: not JSON", ErrValue)
	}
	return nil
}

// modules reads the modules, with an SQL expression for their revision.
func (c *Content) modules(tx *sql.Tx, revision string) error {
	rows, err := tx.Query(
		"SELECT id, typeof(id), name, version, kind, state, description, updated_at, " + revision + " FROM modules ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	var refused []error
	for rows.Next() {
		var m Module
		var idType, at string
		err := rows.Scan(&m.ID, &idType, &m.Name, &m.Version, &m.Kind, &m.State, &m.Description, &at, &m.Revision)
		if err != nil {
			return err
		}
		if err := m.check(idType, at); err != nil {
			refused = append(refused, fmt.Errorf("module %q: %w", m.ID, err))
			continue
		}
		c.Modules = append(c.Modules, m)
	}
	return errors.Join(append(refused, rows.Err())...)
}

var (
	kind  = regexp.MustCompile(`^"(native|wasm)"$`)
	state = regexp.MustCompile(`^"(loaded|starting|running|stopping|stopped|failed)"$`)
)

func (m *Module) check(idType, at string) (err error) {
	if idType != "text" || !utf8.ValidString(m.ID) || !kind.MatchString(m.Kind) || !state.MatchString(m.State) {
		return ErrRow
	}
	m.Kind, m.State = strings.Trim(m.Kind, `"`), strings.Trim(m.State, `"`)
	m.UpdatedAt, err = parseTime(at)
	return err
}

// isName reports whether text can be an AEAD's name.
func isName(text string) bool {
	return text != "" && len(text) <= 1024 && utf8.ValidString(text) && !strings.Contains(text, "\x00")
}

func parseTime(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: updated_at is no time", ErrRow)
}
