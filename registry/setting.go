package registry

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
)

// Setting is a config key with its Go type, its default and what is valid: what a subsystem's configuration is made of,
// as a block of package variables. It holds no state, so that one serves any number of registries, and its methods run
// inside and outside of transactions.
//
// The stored value is a whole: a field that its JSON lacks is zero, and not the default's.
type Setting[T any] struct {
	// Name is the config key.
	Name string
	// Default is the value where there is no entry. It is not validated. Readers get a copy, made through JSON where it
	// refers to anything, so that none of them changes it for the others.
	Default T
	// Validate returns an error for a value that makes no sense; nil takes all. Its error is part of the registry's: it
	// should not quote a secret.
	Validate func(T) error
}

// Get returns the value, or the default where there is none. A stored value that is no T, or not valid, is ErrDecode,
// which names the key and the type; the other errors are [Reader]'s. With an error comes T's zero value.
func (s Setting[T]) Get(ctx context.Context, r Reader) (T, error) {
	value, found, err := TryGet[T](ctx, r, s.Name)
	if err == nil {
		value, err = s.effective(value, found)
	}
	return value, failed("get setting", s.Name, err)
}

// Set stores a value: ErrInvalid where it is not valid; the other errors are SetConfig's.
func (s Setting[T]) Set(ctx context.Context, w Writer, value T, opts ...WriteOption) (int64, error) {
	if err := s.validate(value); err != nil {
		return 0, failed("set setting", s.Name, invalid("%w", err))
	}
	return w.SetConfig(ctx, s.Name, value, opts...)
}

// Delete removes the entry, so that the default counts again, and reports whether there was one.
func (s Setting[T]) Delete(ctx context.Context, w Writer, opts ...WriteOption) (bool, error) {
	return w.DeleteConfig(ctx, s.Name, opts...)
}

// Modify changes the value in one transaction, in w's where w is a Tx: f gets what Get gives and returns what is to be
// stored, which Modify returns too. No other write comes in between. f runs once; an error from it leaves the setting as
// it was, and comes back as it is. f must not use the registry: it would wait for itself, until ErrBusy. The other errors
// are Get's and Set's.
func (s Setting[T]) Modify(ctx context.Context, w Writer, f func(current T) (T, error)) (T, error) {
	if f == nil {
		var zero T
		return zero, failed("modify setting", s.Name, invalid("a nil callback"))
	}
	return Modify(ctx, w, s.Name, func(value T, exists bool) (T, error) {
		current, err := s.effective(value, exists)
		if err != nil {
			return current, failed("modify setting", s.Name, err)
		}
		next, err := f(current)
		if err != nil {
			return next, err
		}
		if err := s.validate(next); err != nil {
			return next, failed("modify setting", s.Name, invalid("%w", err))
		}
		return next, nil
	})
}

// Watch gives the value as it is when the loop begins, and then after each change, whoever makes it: the default after a
// deletion. Of changes that come faster than the loop takes them it gives the newest, never an older one after a newer,
// and it does not mind what became of the change log meanwhile.
//
// A stored value that cannot be read comes as an error, Get's, and the loop goes on: the next change may mend it. It ends
// without a word when ctx does; any other error is the last element, as with [Registry.Watch], which also says what else
// holds. Each loop over it begins anew.
func (s Setting[T]) Watch(ctx context.Context, r *Registry) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.watch(ctx, r, yield)
		if err != nil && err != errLeft && ctx.Err() == nil {
			var zero T
			yield(zero, failed("watch setting", s.Name, err))
		}
	}
}

func (s Setting[T]) watch(ctx context.Context, r *Registry, yield func(T, error) bool) error {
	shown := int64(-1) // the entry's revision that was, or would be, handed on last
	for {
		now, err := s.read(ctx, r)
		if err != nil {
			return err
		}
		if now.revision != shown && !yield(now.value, now.err) {
			return errLeft
		}
		if err := s.follow(ctx, r, &now, yield); !errors.Is(err, ErrCompacted) { // the log went on without this loop
			return err
		}
		shown = now.revision
	}
}

// follow hands on what the setting becomes after now.
func (s Setting[T]) follow(ctx context.Context, r *Registry, now *settingState[T], yield func(T, error) bool) error {
	for change, err := range r.Watch(ctx, now.asOf, ofConfigKey(s.Name)) {
		if err != nil {
			return err
		}
		if change.Revision <= now.asOf { // it was read already
			continue
		}
		if *now, err = s.read(ctx, r); err != nil {
			return err
		}
		if !yield(now.value, now.err) {
			return errLeft
		}
	}
	return nil
}

// settingState is what a setting was at one moment.
type settingState[T any] struct {
	value    T
	err      error // why there is no value
	revision int64 // of the entry, 0 where there is none
	asOf     int64 // the registry's
}

// read reads the state as it is now.
func (s Setting[T]) read(ctx context.Context, r *Registry) (now settingState[T], err error) {
	err = r.View(ctx, func(ctx context.Context, tx *Tx) error {
		var err error
		if now.asOf, err = tx.Revision(ctx); err != nil {
			return err
		}
		entry, err := tx.GetConfigEntry(ctx, s.Name)
		found := err == nil
		if err != nil && !errors.Is(err, ErrConfigNotFound) {
			return err
		}
		now.revision = entry.Revision
		if found {
			now.err = entry.Decode(&now.value)
		}
		if now.err == nil {
			now.value, now.err = s.effective(now.value, found)
		}
		if now.err != nil {
			var zero T
			now.value, now.err = zero, failed("watch setting", s.Name, now.err)
		}
		return nil
	})
	return now, err
}

// effective is what counts: the value that was found, if it is valid, or the default.
func (s Setting[T]) effective(value T, found bool) (T, error) {
	if !found {
		return detached(s.Default)
	}
	if err := s.validate(value); err != nil {
		var zero T
		return zero, fmt.Errorf("%w into %s: it is not valid: %w", ErrDecode, reflect.TypeFor[T](), err)
	}
	return value, nil
}

func (s Setting[T]) validate(value T) error {
	if s.Validate == nil {
		return nil
	}
	return s.Validate(value)
}

// detached is a copy that shares no memory with the value: what reading it gives, had it been stored.
func detached[T any](value T) (T, error) {
	if isFlat(reflect.TypeFor[T]()) {
		return value, nil
	}
	var copied T
	json, err := encode(value, maxMaxValue)
	if err == nil {
		err = decode(json, &copied)
	}
	return copied, err
}

// isFlat reports whether values of a type refer to nothing that could change.
func isFlat(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return isFlat(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isFlat(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return false
	}
	return true
}
