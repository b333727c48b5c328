package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"iter"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	_ "github.com/mattn/go-sqlite3" // driver sqlite3
	_ "modernc.org/sqlite"          // driver sqlite
)

// sqlStore is what a careful user writes by hand: one connection that writes, so that nobody sees SQLITE_BUSY, a pool that
// reads, and the columns of the registry's config table, without a change log.
type sqlStore[T any] struct {
	writer, reader *sql.DB
	text           textForm
}

// textForm is how a value's JSON stands in the column.
type textForm interface {
	seal(key string, json []byte) (string, error)
	open(key string, text []byte) (json []byte, err error)
}

// plainText stores JSON as it is.
type plainText struct{}

func (plainText) seal(_ string, json []byte) (string, error) { return string(json), nil }
func (plainText) open(_ string, text []byte) ([]byte, error) { return text, nil }

const (
	createConfig = `CREATE TABLE IF NOT EXISTS config (
		key TEXT PRIMARY KEY, value TEXT NOT NULL, updated_at TEXT NOT NULL, revision INTEGER NOT NULL)`
	selectValue  = `SELECT value FROM config WHERE key = ?`
	selectPrefix = `SELECT key, value, updated_at, revision FROM config WHERE key >= ? AND key < ? ORDER BY key`
	upsertConfig = `INSERT INTO config (key, value, updated_at, revision) VALUES (?, ?, ?, 1)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at, revision = revision + 1`
)

const timeLayout = "2006-01-02T15:04:05.000000000-07:00"

// mattnDSNs are the names of the writer's and the readers' connections: the registry's own settings, in the driver's words.
func mattnDSNs(path string) (writer, reader string) {
	common := "?_busy_timeout=30000&_foreign_keys=1&_synchronous=FULL&_stmt_cache_size=128&_cache_size=-131072"
	name := fileURI(path)
	return name + common + "&_journal_mode=WAL&_txlock=immediate", name + common + "&mode=ro"
}

// fileURI returns a file's name for SQLite.
func fileURI(path string) string {
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String()
}

func moderncDSNs(path string) (writer, reader string) {
	common := "?_pragma=busy_timeout(30000)&_pragma=foreign_keys(1)&_pragma=synchronous(FULL)&_pragma=cache_size(-131072)"
	name := fileURI(path)
	return name + common + "&_pragma=journal_mode(WAL)&_txlock=immediate", name + common + "&mode=ro"
}

func openMattn[T any](text textForm) func(context.Context, string) (store[T], error) {
	return func(ctx context.Context, dir string) (store[T], error) {
		writer, reader := mattnDSNs(filepath.Join(dir, "config.db"))
		return openSQL[T](ctx, "sqlite3", writer, reader, text)
	}
}

func openMattnEncrypted[T any](ctx context.Context, dir string) (store[T], error) {
	text, err := openTinkText(filepath.Join(dir, "keyset"))
	if err != nil {
		return nil, err
	}
	return openMattn[T](text)(ctx, dir)
}

func openModernc[T any](ctx context.Context, dir string) (store[T], error) {
	writer, reader := moderncDSNs(filepath.Join(dir, "config.db"))
	return openSQL[T](ctx, "sqlite", writer, reader, plainText{})
}

func openSQL[T any](ctx context.Context, driver, writerDSN, readerDSN string, text textForm) (store[T], error) {
	writer, reader, err := openPools(ctx, driver, writerDSN, readerDSN)
	if err != nil {
		return nil, err
	}
	s := &sqlStore[T]{writer: writer, reader: reader, text: text}
	if _, err := writer.ExecContext(ctx, createConfig); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openPools are one connection that writes, and those that read.
func openPools(ctx context.Context, driver, writerDSN, readerDSN string) (writer, reader *sql.DB, err error) {
	if writer, err = sql.Open(driver, writerDSN); err != nil {
		return nil, nil, err
	}
	writer.SetMaxOpenConns(1)
	if _, err := writer.ExecContext(ctx, "PRAGMA wal_autocheckpoint = 4000"); err != nil { // no driver has a name for it
		return nil, nil, errors.Join(err, writer.Close())
	}
	if reader, err = sql.Open(driver, readerDSN); err != nil {
		return nil, nil, errors.Join(err, writer.Close())
	}
	reader.SetMaxIdleConns(maxReaders)
	reader.SetMaxOpenConns(maxReaders)
	return writer, reader, nil
}

// maxReaders is as many as read at the same time, so that none opens a connection for each read.
const maxReaders = 8

func (s *sqlStore[T]) Read(ctx context.Context, key string) (value T, err error) {
	var text []byte
	if err := s.reader.QueryRowContext(ctx, selectValue, key).Scan(&text); err != nil {
		return value, err
	}
	plain, err := s.text.open(key, text)
	if err != nil {
		return value, err
	}
	err = json.Unmarshal(plain, &value)
	return value, err
}

func (s *sqlStore[T]) Write(ctx context.Context, key string, value T) error {
	return s.upsert(ctx, s.writer, key, value)
}

// execer is a *sql.DB or a *sql.Tx.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

func (s *sqlStore[T]) upsert(ctx context.Context, to execer, key string, value T) error {
	plain, err := json.Marshal(value)
	if err != nil {
		return err
	}
	text, err := s.text.seal(key, plain)
	if err != nil {
		return err
	}
	_, err = to.ExecContext(ctx, upsertConfig, key, text, time.Now().UTC().Format(timeLayout))
	return err
}

// List reads what the registry's entries have: the time and the revision too.
func (s *sqlStore[T]) List(ctx context.Context, prefix string, visit func(string, T)) error {
	rows, err := s.reader.QueryContext(ctx, selectPrefix, prefix, prefix+"\xff")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			key, at  string
			text     sql.RawBytes
			revision int64
			value    T
		)
		if err := rows.Scan(&key, &text, &at, &revision); err != nil {
			return err
		}
		if _, err := time.Parse(time.RFC3339Nano, at); err != nil {
			return err
		}
		plain, err := s.text.open(key, text)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(plain, &value); err != nil {
			return err
		}
		visit(key, value)
	}
	return rows.Err()
}

func (s *sqlStore[T]) Fill(ctx context.Context, entries iter.Seq2[string, T]) error {
	for batch := range batches(entries) {
		tx, err := s.writer.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		for _, e := range batch {
			if err := s.upsert(ctx, tx, e.key, e.value); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}

func (s *sqlStore[T]) Close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }
