//go:build !cgo

package cgo

// The name below is not defined: the compiler prints it, and that is the message.
var _ = stateregistry_needs_cgo__install_a_C_compiler_such_as_gcc_and_build_with_CGO_ENABLED_1
