package main

import (
	"context"
	"encoding/json"
	"iter"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
)

// badgerStore is badger with encryption at rest, which wants an index cache, and with synced writes. It knows no context.
type badgerStore[T any] struct{ db *badger.DB }

func openBadger[T any](_ context.Context, dir string) (store[T], error) {
	db, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, "badger")).
		WithSyncWrites(true).
		WithEncryptionKey(make([]byte, 32)).
		WithIndexCacheSize(100 << 20).
		WithLogger(nil))
	if err != nil {
		return nil, err
	}
	return &badgerStore[T]{db}, nil
}

func (s *badgerStore[T]) Read(_ context.Context, key string) (value T, err error) {
	err = s.db.View(func(tx *badger.Txn) error {
		item, err := tx.Get([]byte(key))
		if err != nil {
			return err
		}
		return item.Value(func(text []byte) error { return json.Unmarshal(text, &value) })
	})
	return value, err
}

func (s *badgerStore[T]) Write(_ context.Context, key string, value T) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.db.Update(func(tx *badger.Txn) error { return tx.Set([]byte(key), text) })
}

func (s *badgerStore[T]) List(_ context.Context, prefix string, visit func(string, T)) error {
	return s.db.View(func(tx *badger.Txn) error {
		options := badger.DefaultIteratorOptions
		options.Prefix = []byte(prefix)
		it := tx.NewIterator(options)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var value T
			err := it.Item().Value(func(text []byte) error { return json.Unmarshal(text, &value) })
			if err != nil {
				return err
			}
			visit(string(it.Item().Key()), value)
		}
		return nil
	})
}

func (s *badgerStore[T]) Fill(ctx context.Context, entries iter.Seq2[string, T]) error {
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	for key, value := range entries {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if err := batch.Set([]byte(key), text); err != nil {
			return err
		}
	}
	if err := batch.Flush(); err != nil {
		return err
	}
	return ctx.Err()
}

func (s *badgerStore[T]) Close() error { return s.db.Close() }
