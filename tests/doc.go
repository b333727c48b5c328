// Package tests holds the suites that check the registry's promises through its public API, in every mode. A mode is a
// way to store a registry (see modes_test.go): a suite that is written once runs in all of them.
package tests
