// Package cgo makes a build without a C compiler end in one line that says what to do. The driver is C code, and without
// cgo it would be a stub whose missing methods fill a page.
package cgo
