// Kernel boots a registry the way a kernel would, and says what it does: it takes over a database that oxide-k wrote,
// registers modules from their manifests, walks one through its life, with the decisions that a subsystem logs beside it,
// watches what another process does, reads and writes configuration, encrypts it, rotates and rewraps its keys, and leaves
// a file to look at.
//
// It is a module of its own, since it uses examples/decisionlog, which is one. `make demo` runs it.
package main
