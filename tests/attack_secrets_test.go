package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
)

// secretsIn names the secrets of the attack tests that are in data, in whatever form: as they are, in base64, in hex, or
// as a list of bytes, as fmt prints them.
func secretsIn(data []byte) []string { return attackNeedles().in(data) }

var attackNeedles = sync.OnceValue(func() needles {
	all := needles{}
	for _, secret := range append(append(strings.Fields(canary), strings.Fields(attackPassphrase)...), attackRawKey) {
		all.add([]byte(secret))
	}
	return all
})

// needles are the forms of secrets to look for, by a name for each.
type needles map[string][]byte

func (n needles) add(secret []byte) {
	digits := hex.EncodeToString(secret)
	n[fmt.Sprintf("%q", secret)] = secret
	n[fmt.Sprintf("%q in hex", secret)] = []byte(digits)
	n[fmt.Sprintf("%q in HEX", secret)] = []byte(strings.ToUpper(digits))
	n[fmt.Sprintf("%q as numbers", secret)] = []byte(strings.Trim(fmt.Sprint(secret), "[]"))
	n[fmt.Sprintf("%q as Go", secret)] = []byte(strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}"))
	for name, encoding := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64url": base64.RawURLEncoding} {
		for before := range 3 { // what comes before a secret decides how its bits fall into characters
			text := encoding.EncodeToString(append(make([]byte, before), secret...))
			from, to := (before*8+5)/6, (before+len(secret))*8/6 // the characters that are the secret's alone
			n[fmt.Sprintf("%q in %s, %d", secret, name, before)] = []byte(text[from:to])
		}
	}
}

// in names those that data holds.
func (n needles) in(data []byte) (found []string) {
	for name, needle := range n {
		if bytes.Contains(data, needle) {
			found = append(found, name)
		}
	}
	return found
}
