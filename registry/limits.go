package registry

import (
	"strings"
	"unicode/utf8"
)

// MaxKey is the longest module id and config key, in bytes. [WithMaxValue] bounds values and modules' other texts.
const MaxKey = 1 << 10

// checkID refuses what is no module id.
func checkID(id string) error { return checkName("the id", id) }

// checkKey refuses what is no config key.
func checkKey(key string) error { return checkName("the key", key) }

// checkPrefix refuses what no config key starts with.
func checkPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	return checkName("the prefix", prefix)
}

func checkName(what, name string) error {
	if name == "" {
		return invalid("%s is empty", what)
	}
	if len(name) > MaxKey {
		return invalid("%s has %d bytes, at most %d are allowed", what, len(name), MaxKey)
	}
	return checkText(what, name)
}

// checkText refuses text that other readers of the file, oxide-k among them, could not read back.
func checkText(what, text string) error {
	if !utf8.ValidString(text) {
		return invalid("%s is not UTF-8", what)
	}
	if strings.ContainsRune(text, 0) {
		return invalid("%s holds a NUL", what)
	}
	return nil
}
