// Package registrytest opens registries for the tests of code that uses them.
package registrytest
