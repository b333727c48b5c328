package tests

import (
	"fmt"
	"strings"
)

// canary is a secret that no error may hold, whatever Go type somebody tries to read it into. Both halves are looked
// for: an error may quote a part.
const (
	canary       = "canary-s3cret 42-canary"
	canaryNumber = int64(864209753186420975)
)

// keepsSecret looks for the canaries in all that can be printed of an error and of those it wraps.
func (s *rowSuite) keepsSecret(err error) {
	for _, e := range unwrapped(err) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%v", e), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			for _, secret := range append(strings.Fields(canary), fmt.Sprint(canaryNumber)[:9]) {
				s.Require().NotContains(text, secret)
			}
		}
	}
}

// unwrapped is err and all errors below it.
func unwrapped(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		all = append(all, unwrapped(e.Unwrap())...)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			all = append(all, unwrapped(inner)...)
		}
	}
	return all
}
