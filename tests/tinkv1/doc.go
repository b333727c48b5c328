// Package tinkv1 has tests only. They keep a promise to those who hold keysets with github.com/google/tink/go, the former
// address of Tink for Go: a registry's wrapped keyset and the values encrypted under it are readable with its last version,
// v1.7.0, and what that one wrote is readable to a registry, as far as both know the algorithm.
//
// The module is one of its own, and does not require the main one: a program that links google/tink/go and tink-go/v2
// panics when it starts, since both register the same protobuf messages. So the tests link the first, called v1 in them,
// and build and talk to a program of the main module that links the second, v2: tests/tinkv2peer. What v1 must know of the
// registry's formats is written out by hand in format_test.go.
//
// After a change in the main module run them with -count=1: go test does not know what the peer is built from, and would
// show the result that it remembers.
package tinkv1
