package registry

import (
	"strings"
	"unicode/utf8"
)

// MaxKey is the longest module id and config key that can be written, in bytes. [WithMaxValue] bounds values and modules' other texts.
// An oxide-k kernel may have written longer ones, empty ones and such with a NUL: they can be read, listed and deleted.
const MaxKey = 1 << 10

// checkID refuses a module id that is not to be written.
func checkID(id string) error { return checkName("the id", id) }

// checkKey refuses a config key that is not to be written.
func checkKey(key string) error { return checkName("the key", key) }

// checkStoredID refuses a module id that no program can have written.
func checkStoredID(id string) error { return checkUTF8("the id", id) }

// checkStoredKey refuses a config key that no program can have written.
func checkStoredKey(key string) error { return checkUTF8("the key", key) }

// checkPrefix refuses what is not whole characters, with which a key that is one may start.
func checkPrefix(prefix string) error { return checkUTF8("the prefix", prefix) }

func checkUTF8(what, text string) error {
	if !utf8.ValidString(text) {
		return invalid("%s is not UTF-8", what)
	}
	return nil
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
	if err := checkUTF8(what, text); err != nil {
		return err
	}
	if strings.ContainsRune(text, 0) {
		return invalid("%s holds a NUL", what)
	}
	return nil
}
