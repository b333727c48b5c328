//go:build !goexperiment.jsonv2

package jsonvalue

// isRefusedByStrict reports false: this implementation of encoding/json takes everything that is not UTF-8.
func isRefusedByStrict(any) bool { return false }
