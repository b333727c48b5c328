package registry

import (
	"context"
	"errors"
)

// Get returns a config value as a T. Its errors are GetConfig's, and come with T's zero value.
func Get[T any](ctx context.Context, r Reader, key string) (T, error) {
	if e := cached(ctx, r, key); e != nil {
		if value, ok := e.Decoded.(*T); ok {
			return *value, nil
		}
	}
	return get[T](ctx, r, key)
}

// get is Get where the value has to be decoded.
func get[T any](ctx context.Context, r Reader, key string) (T, error) {
	var value, zero T
	if err := r.GetConfig(ctx, key, &value); err != nil {
		return zero, err
	}
	return value, nil
}

// TryGet is Get with a missing entry as an answer: false and no error.
func TryGet[T any](ctx context.Context, r Reader, key string) (T, bool, error) {
	if e := cached(ctx, r, key); e != nil {
		if value, ok := e.Decoded.(*T); ok {
			return *value, true, nil
		}
		if !e.Found {
			var zero T
			return zero, false, nil
		}
	}
	value, err := get[T](ctx, r, key)
	if errors.Is(err, ErrConfigNotFound) {
		return value, false, nil
	}
	return value, err == nil, err
}

// Modify changes a config value in one transaction, in w's where w is a Tx: f gets the value there is, or T's zero value
// and false, and returns the one to store, which Modify returns too. No other write comes in between. f runs once; an
// error from it leaves the entry as it was, and comes back as it is. f must not use the registry: it would wait for
// itself, until ErrBusy.
func Modify[T any](
	ctx context.Context, w Writer, key string, f func(current T, exists bool) (T, error),
) (T, error) {
	if f == nil {
		var zero T
		return zero, failed("modify", key, invalid("a nil callback"))
	}
	return modify(ctx, w, key, func(current T, exists bool) (any, T, error) {
		next, err := f(current, exists)
		return next, next, err
	})
}

// modify does what Modify does. f returns what SetConfig is to store, and what the caller gets.
func modify[T any](
	ctx context.Context, w Writer, key string, f func(current T, exists bool) (stored any, next T, err error),
) (T, error) {
	var next, zero T
	if err := checkKey(key); err != nil { // before f, which may have effects
		return zero, failed("modify", key, err)
	}
	var inner error
	err := w.update(ctx, func(ctx context.Context, tx *Tx) error {
		var current T
		var exists bool
		if current, exists, inner = TryGet[T](ctx, tx, key); inner != nil {
			return inner
		}
		var stored any
		if stored, next, inner = f(current, exists); inner != nil {
			return inner
		}
		_, inner = tx.SetConfig(ctx, key, stored)
		return inner
	})
	if inner != nil {
		return zero, inner
	}
	if err != nil { // the transaction's own
		return zero, failed("modify", key, why(err))
	}
	return next, nil
}
