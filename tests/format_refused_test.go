package tests

import (
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// formatGuards are all triggers that would refuse what the test below writes.
var formatGuards = regexp.MustCompile(`^(config|keyset|registry)_`)

// What one reader refuses the other refuses too, and what both take is the same: the page leaves nothing out that the
// registry checks, and demands nothing that it does not.
func (s *formatSuite) TestBothReadersRefuseTheSame() {
	const rounds = 60
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	for n, name := range []string{"rotating", "passphrase", "aead"} {
		s.Run(name, func() {
			random := mathrand.New(mathrand.NewPCG(seed, uint64(n)))
			k := goldenFiles[slices.IndexFunc(goldenFiles, func(f goldenFile) bool { return f.name == name })].kek
			whole, path, refused := s.path(), s.path(), 0
			copyFile(s.T(), filepath.Join(goldenDir, name+".db"), whole)
			closeVerified(s.T(), openGolden(s.T(), whole, k)) // it has the newest schema
			entries := len(s.readByThePage(whole, k))
			for range rounds {
				copyFile(s.T(), whole, path)
				cell := s.alterOneCell(path, random)
				byRegistry, byPage := s.readByRegistry(path, k), s.readByThePage(path, k)
				s.Require().Equal(byRegistry, byPage, cell)
				if len(byPage) < entries {
					refused++
				}
			}
			s.Require().Greater(refused, rounds/2)
		})
	}
}

// alterOneCell changes a byte, or a few, of what is bound or checked, and says what it did.
func (s *formatSuite) alterOneCell(path string, random *mathrand.Rand) string {
	cells := [][2]string{
		{"registry", "id"}, {"keyset", "generation"}, {"keyset", "marker"}, {"keyset", "kek"}, {"keyset", "kek_params"},
		{"keyset", "wrapped"}, {"config", "key"}, {"config", "value"}, {"config", "value"}, {"config", "value"}, {"config", "value"},
	}
	cell := cells[random.IntN(len(cells))]
	table, column := cell[0], cell[1]
	rows := sqliteRows(s.T(), path, fmt.Sprintf("SELECT rowid, hex(%s) FROM %s ORDER BY 1", column, table))
	row := rows[random.IntN(len(rows))]
	rowid, old := strings.Trim(row[0], `"`), fromHex(s.T(), strings.Trim(row[1], `"`))
	literal := ""
	switch altered := altered(old, random); column {
	case "generation":
		literal = fmt.Sprint(1 + random.Int64N(4))
	case "wrapped":
		literal = fmt.Sprintf("x'%x'", altered)
	default:
		literal = fmt.Sprintf("CAST(x'%x' AS TEXT)", altered)
	}
	statement := fmt.Sprintf("UPDATE %s SET %s = %s WHERE rowid = %s", table, column, literal, rowid)
	sqliteDamage(s.T(), path, formatGuards, statement)
	return fmt.Sprintf("%s, which was %q", statement, old)
}

// altered is text with a mistake in it, or the text.
func altered(text []byte, random *mathrand.Rand) []byte {
	text = slices.Clone(text)
	at := 0
	if len(text) > 0 {
		at = random.IntN(len(text))
	}
	const characters = "enc:v12$=,+/-_ \n\rAaBbZz09\x00"
	character := characters[random.IntN(len(characters))]
	switch n := random.IntN(6); {
	case n == 0 || len(text) == 0:
		return slices.Insert(text, at, character)
	case n == 1:
		return slices.Delete(text, at, at+1)
	case n == 2:
		return append(text, character)
	case n == 3:
		return text[:at]
	case n == 4 && len(text) > 16: // where the key's id is
		text[7+random.IntN(9)] = "0123456789abcdefABCDEF:"[random.IntN(23)]
	default:
		text[at] = character
	}
	return text
}

// refusal stands for a file that cannot be read at all.
func refusal() map[string]string { return map[string]string{"": "refused"} }

func (s *formatSuite) readByRegistry(path string, k *goldenKEK) map[string]string {
	reg, err := registry.OpenEncrypted(s.T().Context(), path, k.kek(s.T()), registry.WithReadOnly())
	if err != nil {
		s.Require().ErrorIs(err, registry.ErrWrongKey)
		return refusal()
	}
	defer reg.Close()
	found := map[string]string{}
	entries, err := reg.ListConfig(s.T().Context(), "")
	s.Require().NoError(err)
	for _, e := range entries {
		var text json.RawMessage
		if err := e.Decode(&text); err == nil {
			found[e.Key] = string(text)
		}
	}
	return found
}

func (s *formatSuite) readByThePage(path string, k *goldenKEK) map[string]string {
	content, _ := readByPage(s.T(), path, k)
	if content == nil {
		return refusal()
	}
	found := map[string]string{}
	for _, e := range content.Config {
		found[e.Key] = e.JSON
	}
	return found
}
