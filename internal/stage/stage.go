// Package stage lets a test stop, or end, a call at each of its steps. The context carries the test's function, so there is nothing to
// set back, and calls without one cost a lookup.
package stage

import "context"

type key struct{}

// With returns a context in which Reached calls f.
func With(ctx context.Context, f func(name string) error) context.Context {
	return context.WithValue(ctx, key{}, f)
}

// Reached says that a step is about to be done, and returns an error if it shall not.
func Reached(ctx context.Context, name string) error {
	if f, ok := ctx.Value(key{}).(func(string) error); ok {
		return f(name)
	}
	return nil
}
