package main

import (
	"context"
	"iter"
	"path/filepath"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// registryStore is the registry as it comes.
type registryStore[T any] struct{ *registry.Registry }

const registryFile = "registry.db"

func openRegistry[T any](opts ...registry.Option) func(context.Context, string) (store[T], error) {
	return func(ctx context.Context, dir string) (store[T], error) {
		reg, err := registry.Open(ctx, filepath.Join(dir, registryFile), opts...)
		if err != nil {
			return nil, err
		}
		return registryStore[T]{reg}, nil
	}
}

func openEncryptedRegistry[T any](opts ...registry.Option) func(context.Context, string) (store[T], error) {
	return func(ctx context.Context, dir string) (store[T], error) {
		reg, err := registry.OpenEncrypted(ctx, filepath.Join(dir, registryFile), benchKEK(), opts...)
		if err != nil {
			return nil, err
		}
		return registryStore[T]{reg}, nil
	}
}

// benchKEK is a key that needs no derivation, which alone would take a quarter of a second.
func benchKEK() keyset.KEK { return keyset.RawKey(make([]byte, keyset.RawKeySize)) }

func (s registryStore[T]) Read(ctx context.Context, key string) (T, error) {
	return registry.Get[T](ctx, s.Registry, key)
}

func (s registryStore[T]) Write(ctx context.Context, key string, value T) error {
	_, err := s.SetConfig(ctx, key, value)
	return err
}

func (s registryStore[T]) List(ctx context.Context, prefix string, visit func(string, T)) error {
	entries, err := s.ListConfig(ctx, prefix)
	if err != nil {
		return err
	}
	for _, e := range entries {
		var value T
		if err := e.Decode(&value); err != nil {
			return err
		}
		visit(e.Key, value)
	}
	return nil
}

func (s registryStore[T]) Fill(ctx context.Context, entries iter.Seq2[string, T]) error {
	for batch := range batches(entries) {
		err := s.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			for _, e := range batch {
				if _, err := tx.SetConfig(ctx, e.key, e.value); err != nil {
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
