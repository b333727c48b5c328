package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"
)

// boltStore is bbolt as it comes: it syncs each commit. It knows no context.
type boltStore[T any] struct{ db *bbolt.DB }

func boltBucket() []byte { return []byte("config") }

func openBbolt[T any](_ context.Context, dir string) (store[T], error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o600, &bbolt.Options{Timeout: time.Minute})
	if err != nil {
		return nil, err
	}
	// Only a new file needs its bucket: a transaction that writes would make opening a file that is there slower.
	missing := false
	err = db.View(func(tx *bbolt.Tx) error {
		missing = tx.Bucket(boltBucket()) == nil
		return nil
	})
	if err == nil && missing {
		err = db.Update(func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket(boltBucket())
			return err
		})
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltStore[T]{db}, nil
}

func (s *boltStore[T]) Read(_ context.Context, key string) (value T, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		text := tx.Bucket(boltBucket()).Get([]byte(key))
		if text == nil {
			return fmt.Errorf("no key %q", key)
		}
		return json.Unmarshal(text, &value)
	})
	return value, err
}

func (s *boltStore[T]) Write(_ context.Context, key string, value T) error {
	return write(s.db.Update, key, value)
}

// WriteBatched is what bbolt has for many goroutines that write: they share a transaction, and wait 10 ms for each other.
func (s *boltStore[T]) WriteBatched(_ context.Context, key string, value T) error {
	return write(s.db.Batch, key, value)
}

func write[T any](in func(func(*bbolt.Tx) error) error, key string, value T) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return in(func(tx *bbolt.Tx) error { return tx.Bucket(boltBucket()).Put([]byte(key), text) })
}

func (s *boltStore[T]) List(_ context.Context, prefix string, visit func(string, T)) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(boltBucket()).Cursor()
		for key, text := c.Seek([]byte(prefix)); bytes.HasPrefix(key, []byte(prefix)); key, text = c.Next() {
			var value T
			if err := json.Unmarshal(text, &value); err != nil {
				return err
			}
			visit(string(key), value)
		}
		return nil
	})
}

func (s *boltStore[T]) Fill(_ context.Context, entries iter.Seq2[string, T]) error {
	for batch := range batches(entries) {
		err := s.db.Update(func(tx *bbolt.Tx) error {
			for _, e := range batch {
				text, err := json.Marshal(e.value)
				if err != nil {
					return err
				}
				if err := tx.Bucket(boltBucket()).Put([]byte(e.key), text); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *boltStore[T]) Close() error { return s.db.Close() }
