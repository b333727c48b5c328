package main

import (
	"context"
	"iter"
)

// store is a peer's database as a subsystem would use it: Go values go in and come out. All but Close are safe for
// concurrent use.
type store[T any] interface {
	// Fill writes new entries, in large transactions.
	Fill(ctx context.Context, entries iter.Seq2[string, T]) error
	// Read decodes the value of a key.
	Read(ctx context.Context, key string) (T, error)
	// Write encodes a value and stores it under a key. It is synced when Write returns.
	Write(ctx context.Context, key string, value T) error
	// List decodes all entries whose key begins with prefix, in the order of their keys.
	List(ctx context.Context, prefix string, visit func(key string, value T)) error
	Close() error
}

// batcher is a store with another call for a write that is one of many at the same time.
type batcher[T any] interface {
	WriteBatched(ctx context.Context, key string, value T) error
}

// peer is a way to keep state.
type peer[T any] struct {
	name string
	open func(ctx context.Context, dir string) (store[T], error)
}

// The peers, as tables and plots name them.
const (
	handWritten          = "hand-written SQL"
	handWrittenEncrypted = "hand-written SQL, encrypted"
	handWrittenModernc   = "hand-written SQL, modernc"
	gormPeer             = "gorm"
	bboltPeer            = "bbolt"
	badgerPeer           = "badger, encrypted"
	plainRegistry        = "registry"
	encryptedRegistry    = "registry, encrypted"
	cachedRegistry       = "registry, read cache"
	cachedEncrypted      = "registry, encrypted, read cache"
)

// peers are those with the names, or all.
func peers[T any](names ...string) []peer[T] {
	all := []peer[T]{
		{handWritten, openMattn[T](plainText{})},
		{handWrittenEncrypted, openMattnEncrypted[T]},
		{handWrittenModernc, openModernc[T]},
		{gormPeer, openGorm[T]},
		{bboltPeer, openBbolt[T]},
		{badgerPeer, openBadger[T]},
		{plainRegistry, openRegistry[T]()},
		{encryptedRegistry, openEncryptedRegistry[T]()},
		{cachedRegistry, openRegistry[T](cached()...)},
		{cachedEncrypted, openEncryptedRegistry[T](cached()...)},
	}
	if len(names) == 0 {
		return all
	}
	var chosen []peer[T]
	for _, name := range names {
		for _, p := range all {
			if p.name == name {
				chosen = append(chosen, p)
			}
		}
	}
	return chosen
}

// reference is the peer that a peer's ratio is to: who does the same by hand, or, for what comes from memory, the store
// that reads from memory.
func reference(name string) string {
	switch name {
	case encryptedRegistry, badgerPeer:
		return handWrittenEncrypted
	case cachedRegistry, cachedEncrypted:
		return bboltPeer
	}
	return handWritten
}
