package schema

import (
	"database/sql/driver"
	"fmt"
)

// ModuleKind is a module's execution layer. In the database it is JSON text, quotes included ("native"), as oxide-k
// writes it. Text that is no known kind is kept as it is, quotes and all, so that a row can be read, shown and repaired;
// Valid tells the two apart. A kind that lacks its quotes, which oxide-k cannot read, is not valid either: it is kept with
// [WithoutQuotes] behind it.
type ModuleKind string

// The kinds that oxide-k knows.
const (
	KindNative ModuleKind = "native"
	KindWasm   ModuleKind = "wasm"
)

// Valid reports whether k is one of the kinds above.
func (k ModuleKind) Valid() bool { return k == KindNative || k == KindWasm }

// Scan reads a column. NULL, which an outer join gives, is the zero value.
func (k *ModuleKind) Scan(src any) error {
	text, err := columnText(src)
	if err != nil {
		return fmt.Errorf("module kind: %w", err)
	}
	*k = ModuleKind(decoded(text, func(s string) bool { return ModuleKind(s).Valid() }))
	return nil
}

// Value is k as the column stores it. A kind that is not Valid is an error.
func (k ModuleKind) Value() (driver.Value, error) {
	if !k.Valid() {
		return nil, fmt.Errorf("unknown module kind %q", string(k))
	}
	return `"` + string(k) + `"`, nil
}

// ModuleState is where a module stands in its life cycle. It is stored, and kept where it is unknown, as ModuleKind is.
type ModuleState string

// The states that oxide-k knows.
const (
	StateLoaded   ModuleState = "loaded"
	StateStarting ModuleState = "starting"
	StateRunning  ModuleState = "running"
	StateStopping ModuleState = "stopping"
	StateStopped  ModuleState = "stopped"
	StateFailed   ModuleState = "failed"
)

// Valid reports whether s is one of the states above.
func (s ModuleState) Valid() bool {
	switch s {
	case StateLoaded, StateStarting, StateRunning, StateStopping, StateStopped, StateFailed:
		return true
	}
	return false
}

// CanBecome reports whether next follows s in the life of an oxide-k module (its module.rs): start takes a loaded,
// stopped or failed module by starting to running; stop takes a running one by stopping to stopped; what goes wrong in
// either, or while the module runs, makes it failed. No state becomes itself, and one that is not Valid neither becomes
// another nor is become. Nothing enforces it: it is for who wants to.
func (s ModuleState) CanBecome(next ModuleState) bool {
	switch s {
	case StateLoaded, StateStopped, StateFailed:
		return next == StateStarting
	case StateStarting:
		return next == StateRunning || next == StateFailed
	case StateRunning:
		return next == StateStopping || next == StateFailed
	case StateStopping:
		return next == StateStopped || next == StateFailed
	}
	return false
}

// Scan reads a column. NULL, which an outer join gives, is the zero value.
func (s *ModuleState) Scan(src any) error {
	text, err := columnText(src)
	if err != nil {
		return fmt.Errorf("module state: %w", err)
	}
	*s = ModuleState(decoded(text, func(t string) bool { return ModuleState(t).Valid() }))
	return nil
}

// Value is s as the column stores it. A state that is not Valid is an error.
func (s ModuleState) Value() (driver.Value, error) {
	if !s.Valid() {
		return nil, fmt.Errorf("unknown module state %q", string(s))
	}
	return `"` + string(s) + `"`, nil
}

// WithoutQuotes follows a known kind or state that a column holds without its JSON quotes.
const WithoutQuotes = " (without its JSON quotes)"

// decoded takes the JSON quotes off a known word, and leaves unknown text alone. It marks a known word that has no quotes:
// without the mark it would look like one that was read.
func decoded(text string, known func(string) bool) string {
	if n := len(text); n >= 2 && text[0] == '"' && text[n-1] == '"' && known(text[1:n-1]) {
		return text[1 : n-1]
	}
	if known(text) {
		return text + WithoutQuotes
	}
	return text
}

// columnText is what the driver hands to Scan for a text column.
func columnText(src any) (string, error) {
	switch v := src.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case []byte:
		return string(v), nil
	default:
		return "", fmt.Errorf("column holds %T, want text", src)
	}
}
