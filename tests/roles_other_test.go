//go:build !linux

package tests

// systemRoles returns the roles that need what only some systems have.
func systemRoles() map[string]role { return nil }
