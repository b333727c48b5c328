package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"unicode/utf8"
)

// Setting is a config key with its Go type, its default and what is valid: what a subsystem's configuration is made of,
// as a block of package variables. It holds no state, so that one serves any number of registries, and its methods run
// inside and outside of transactions.
//
// The stored value is a whole: a field that its JSON lacks is zero, and not the default's.
type Setting[T any] struct {
	// Name is the config key. If it cannot be written (see [MaxKey]) all methods but Delete give ErrInvalid.
	Name string
	// Default is the value where there is no entry. It is not validated. Readers get it as if it had been stored and read:
	// a copy, so that none of them changes it for the others, without what JSON leaves out. (A stored null is an entry, and
	// reads as encoding/json has it.)
	Default T
	// Validate returns an error for a value that makes no sense; nil takes all. Its error is part of the registry's: it
	// should not quote a secret. Modify calls it in its transaction: it must not use the registry.
	Validate func(T) error
}

// Get returns the value, or the default where there is none. A stored value that is no T, or not valid, is ErrDecode,
// which names the key and the type; a default that has no JSON form is ErrEncode; the other errors are [Reader]'s. With an
// error comes T's zero value.
func (s Setting[T]) Get(ctx context.Context, r Reader) (T, error) {
	if e := cached(ctx, r, s.Name); e != nil {
		switch kept := e.Decoded.(type) {
		case *T:
			return s.valid("get setting", *kept)
		case *cachedDefault[T]:
			if any(kept.given) == any(s.Default) {
				return kept.stored, nil
			}
		}
	}
	if err := checkKey(s.Name); err != nil { // a cache has no such entry
		var zero T
		return zero, failed("get setting", s.Name, err)
	}
	value, found, err := TryGet[T](ctx, r, s.Name)
	if err != nil {
		return value, err
	}
	if value, err = s.effective("get setting", value, found); err == nil && !found {
		keepDefault(r, s.Name, s.Default, value)
	}
	return value, err
}

// Set stores a value, as the JSON that SetConfig would store of it: ErrInvalid where it is not valid, as it will be read;
// ErrDecode where what JSON makes of it could not be read back; the other errors are SetConfig's. For IfRevision, GetConfigEntry
// has the revision; Modify needs none.
func (s Setting[T]) Set(ctx context.Context, w Writer, value T, opts ...WriteOption) (int64, error) {
	text, _, err := s.storable("set setting", value)
	if err != nil {
		return 0, err
	}
	return w.SetConfig(ctx, s.Name, text, opts...)
}

// Delete removes the entry, so that the default counts again, and reports whether there was one.
func (s Setting[T]) Delete(ctx context.Context, w Writer, opts ...WriteOption) (bool, error) {
	return w.DeleteConfig(ctx, s.Name, opts...)
}

// Modify changes the value in one transaction, in w's where w is a Tx: f gets what Get gives and returns what is to be
// stored, as Set stores it. Modify returns what Get will give of that. No other write comes in between. f runs once; an error
// from it leaves the setting as it was, and comes back as it is. f must not use the registry: it would wait for itself, until
// ErrBusy. The other errors are Get's and Set's.
//
// Get gives the numbers in an any as float64, which rounds integers above 2^53: where f passes those on, they are stored so.
func (s Setting[T]) Modify(ctx context.Context, w Writer, f func(current T) (T, error)) (T, error) {
	if f == nil {
		var zero T
		return zero, failed("modify setting", s.Name, invalid("a nil callback"))
	}
	return modify(ctx, w, s.Name, func(value T, exists bool) (any, T, error) {
		current, err := s.effective("modify setting", value, exists)
		if err != nil {
			return nil, current, err
		}
		next, err := f(current)
		if err != nil {
			return nil, next, err
		}
		return s.storable("modify setting", next)
	})
}

// Watch gives the value as it is when the loop begins, and then after each change, whoever makes it: the default after a
// deletion, the same value again where a change left it so. Of changes that come faster than the loop takes them it gives
// the newest, never an older one after a newer, and it does not mind what became of the change log meanwhile.
//
// Where the value itself cannot be had (ErrDecode, ErrTampered, ErrEncrypted and the like, ErrEncode of the default) that
// comes as an element, and the loop goes on: the next change may mend it. (Encrypt and Decrypt are no change.) So a body may
// continue after any error: after all others the loop has ended, as with [Registry.Watch], which also says what else holds.
// It ends without a word when ctx does. Each loop over it begins anew.
func (s Setting[T]) Watch(ctx context.Context, r *Registry) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := s.watch(ctx, r, yield)
		if err != nil && err != errLeft && ctx.Err() == nil {
			if inner, ok := errors.AsType[*Error](err); ok { // of a View, or of a Watch: how this one works
				err = inner.Err
			}
			var zero T
			yield(zero, failed("watch setting", s.Name, err))
		}
	}
}

func (s Setting[T]) watch(ctx context.Context, r *Registry, yield func(T, error) bool) error {
	if err := checkKey(s.Name); err != nil {
		return err
	}
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
	var entry ConfigEntry
	found := false
	err = untilFree(ctx, func() error {
		return r.View(ctx, func(ctx context.Context, tx *Tx) (err error) {
			if now.asOf, err = tx.Revision(ctx); err != nil {
				return err
			}
			entry, err = tx.GetConfigEntry(ctx, s.Name)
			if found = err == nil; errors.Is(err, ErrConfigNotFound) {
				return nil
			}
			return err
		})
	})
	if err != nil {
		return now, err
	}
	// After the snapshot: what decodes and validates is the caller's, and may take its time.
	now.revision = entry.Revision
	if found {
		now.err = entry.Decode(&now.value)
	}
	if now.err == nil {
		now.value, now.err = s.effective("watch setting", now.value, found)
	} else {
		var zero T
		now.value = zero
	}
	return now, nil
}

// effective is what counts: the value that was found, if it is valid, or the default.
func (s Setting[T]) effective(op string, value T, found bool) (T, error) {
	if found {
		return s.valid(op, value)
	}
	value, err := asStored(s.Default)
	if err != nil {
		var zero T
		return zero, failed(op, s.Name, err)
	}
	return value, nil
}

// valid is a stored value, if it is valid.
func (s Setting[T]) valid(op string, value T) (T, error) {
	err := s.check(value)
	if err == nil {
		return value, nil
	}
	var zero T
	return zero, s.notValid(op, fmt.Errorf("%w into %s", ErrDecode, reflect.TypeFor[T]()), err)
}

func (s Setting[T]) check(value T) error {
	if s.Validate == nil {
		return nil
	}
	return s.Validate(value)
}

// notValid says that a value is not valid, and what that means. Whatever Validate returned, an *Error of this package's too,
// it is about this setting.
func (s Setting[T]) notValid(op string, meaning, err error) error {
	return &Error{Op: op, Key: s.Name, Err: fmt.Errorf("%w: it is not valid: %w", meaning, err)}
}

// storable returns the JSON to store of a value, as SetConfig takes it, and what reading that gives, if it is valid then.
func (s Setting[T]) storable(op string, value T) (stored any, read T, err error) {
	text, err := encode(value, maxMaxValue)
	if err != nil {
		return nil, read, failed(op, s.Name, err)
	}
	if isSameRead(value) {
		read = value
	} else if err := decode(text, &read); err != nil {
		return nil, read, failed(op, s.Name, err)
	}
	if err := s.check(read); err != nil {
		return nil, read, s.notValid(op, ErrInvalid, err)
	}
	return encodedValue{text}, read, nil
}

// asStored returns what reading a value gives, had it been stored: it shares no memory with it.
func asStored[T any](value T) (stored T, err error) {
	if isSameRead(value) {
		return value, nil
	}
	text, err := encode(value, maxMaxValue)
	if err == nil {
		err = decode(text, &stored)
	}
	return stored, err
}

// isSameRead reports whether a value is certain to be the same after it was stored and read.
func isSameRead[T any](value T) bool {
	switch t := reflect.TypeFor[T](); t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return !hasOwnJSON(t)
	case reflect.String:
		return !hasOwnJSON(t) && t != reflect.TypeFor[json.Number]() && utf8.ValidString(reflect.ValueOf(value).String())
	}
	return false
}
