package tests

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
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

// needles are the forms of secrets to look for, and a name for each.
type needles map[string]string

func (n needles) add(secret []byte) {
	digits := hex.EncodeToString(secret)
	n[string(secret)] = fmt.Sprintf("%q", secret)
	n[digits] = fmt.Sprintf("%q in hex", secret)
	n[strings.ToUpper(digits)] = fmt.Sprintf("%q in HEX", secret)
	n[strings.Trim(fmt.Sprint(secret), "[]")] = fmt.Sprintf("%q as numbers", secret)
	n[strings.Trim(fmt.Sprintf("%#v", secret), "[]byte{}")] = fmt.Sprintf("%q as Go", secret)
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} { // mostly the same
		for before := range 3 { // what comes before a secret decides how its bits fall into characters
			text := encoding.EncodeToString(append(make([]byte, before), secret...))
			from, to := (before*8+5)/6, (before+len(secret))*8/6 // the characters that are the secret's alone
			n[text[from:to]] = fmt.Sprintf("%q in base64, after %d bytes", secret, before)
		}
	}
}

// in names those that data holds.
func (n needles) in(data []byte) (found []string) {
	for needle, name := range n {
		if bytes.Contains(data, []byte(needle)) {
			found = append(found, name)
		}
	}
	return found
}

// live is the content of a folder whose databases are open. Another process reads it: reading in this one would close a
// second descriptor of a database, which drops this process's locks.
func (s *attackSuite) live(path string) []byte {
	s.T().Helper()
	entries, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	s.Require().NoError(err)
	data, err := exec.CommandContext(s.T().Context(), program(s.T(), "cat"), entries...).Output()
	s.Require().NoError(err)
	return data
}

// killed is what a crash at this moment would leave of a registry, in a folder of its own.
func (s *attackSuite) killed(path string) string {
	s.T().Helper()
	to := s.T().TempDir()
	entries, err := filepath.Glob(path + "*")
	s.Require().NoError(err)
	s.Require().NoError(exec.CommandContext(s.T().Context(), program(s.T(), "cp"), append(entries, to)...).Run())
	return filepath.Join(to, filepath.Base(path))
}
