// Kernel boots a registry the way a kernel would, and says what it does: it takes over a database that oxide-k wrote,
// registers modules from their manifests, starts and stops one, reads and writes configuration, encrypts it, rotates and
// rewraps its keys, and leaves a file to look at.
//
//	go run ./examples/kernel -dir demo
package main
