package registry

import (
	"strings"
	"unicode/utf8"
)

// MaxKey is the longest module id and config key, in bytes.
const MaxKey = 1 << 10

// checkKey refuses what is no module id and no config key.
func checkKey(key string) error {
	if key == "" {
		return invalid("the key is empty")
	}
	return checkPrefix(key)
}

// checkPrefix refuses what no key starts with.
func checkPrefix(prefix string) error {
	if len(prefix) > MaxKey {
		return invalid("the key has %d bytes, at most %d are allowed", len(prefix), MaxKey)
	}
	return checkText("the key", prefix)
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
