package tests

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// newerVersion is an envelope of another version than ours.
var newerVersion = regexp.MustCompile(`^enc:v([2-9]|[1-9][0-9]+):`)

// reasonFor is the error that a text which was put in the place of a value must give.
func reasonFor(text string) error {
	if newerVersion.MatchString(text) {
		return registry.ErrNewerSchema
	}
	return registry.ErrTampered
}

// Each bit of a stored value, flipped alone, while the registry is open.
func (s *attackSuite) TestEachFlippedBitOfAValueIsNoticed() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	whole, ctx := []byte(s.stored(path, victim)), s.T().Context()
	raw := s.raw(path)
	restore := s.lift(raw, silentValueGuards)
	for at := range whole {
		for bit := range 8 {
			flipped := append([]byte{}, whole...)
			flipped[at] ^= 1 << bit
			_, err := raw.Exec("UPDATE config SET value = CAST(? AS TEXT) WHERE key = ?", flipped, victim)
			s.Require().NoError(err)
			s.Require().Equal(string(flipped), s.storedIn(reg, victim))
			value := "untouched"
			err = reg.GetConfig(ctx, victim, &value)
			s.refuses(err, reasonFor(string(flipped)))
			s.Require().Equal("untouched", value, "%q", flipped)
		}
		s.neighboursRead(reg)
	}
	restore()
	s.heals(reg, victim)
	s.Require().NoError(raw.Close())
	s.opensHealed(path)
}

// The same in a file that is opened afterwards. Every seventh, so that each bit of a byte has its turn.
func (s *attackSuite) TestFlippedBitsInAClosedFileAreNoticed() {
	path := s.create("x.db", rawKEK32())
	value := s.stored(path, victim)
	whole := s.read(path)
	for n := 0; n < 8*len(value); n += 7 {
		s.writeFlipped(path, whole, []byte(value), n)
		text := []byte(value)
		text[n/8] ^= 1 << (n % 8)
		reg, err := registry.OpenEncrypted(s.T().Context(), path, rawKEK32())
		s.Require().NoError(err)
		_, err = registry.Get[string](s.T().Context(), reg, victim)
		s.refuses(err, reasonFor(string(text)))
		s.neighboursRead(reg)
		s.Require().NoError(reg.Close())
	}
}

// Values of every wrong form, on a registry that is open and on one that is opened later, in every way to read one.
func (s *attackSuite) TestAValueHasOneForm() {
	path, text := s.createWithSpecialValue()
	marker, body := text[:16], text[16:]
	padded := strings.Repeat("=", (4-len(body)%4)%4)
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(body)
	s.Require().NotEqual(standard, body)
	last := strings.IndexByte(base64url, body[len(body)-1])
	forms := map[string]string{
		"padding":                marker + body + padded,
		"standard alphabet":      marker + standard,
		"bits that are dropped":  marker + body[:len(body)-1] + string(base64url[last^1]),
		"upper case id":          "enc:v1:" + strings.ToUpper(marker[7:15]) + ":" + body,
		"id of seven digits":     "enc:v1:" + marker[8:15] + ":" + body,
		"an unknown id":          "enc:v1:00000001:" + body,
		"no id":                  "enc:v1::" + body,
		"no colon after the id":  marker[:15] + body,
		"twice":                  text + text,
		"a dot more":             text + ".",
		"NUL at the end":         text + "\x00",
		"NUL at the start":       "\x00" + text,
		"byte order mark":        "\ufeff" + text,
		"upper case enc":         "ENC" + text[3:],
		"upper case version":     "enc:V1" + text[6:],
		"version 0":              "enc:v0" + text[6:],
		"version 01":             "enc:v01" + text[6:],
		"version -1":             "enc:v-1" + text[6:],
		"version 1.0":            "enc:v1.0" + text[6:],
		"version that is no one": "enc:vx" + text[6:],
		"no version":             "enc:" + text[7:],
		"version 2":              "enc:v2" + text[6:],
		"version 10":             "enc:v10" + text[6:],
		"version of 40 digits":   "enc:v" + strings.Repeat("9", 40) + text[6:],
		"JSON string":            `"` + canary + `"`,
		"JSON number":            "7",
		"JSON null":              "null",
		"JSON object":            `{"a":1}`,
		"JSON that starts so":    `"enc:v1:00000000:AAAA"`,
		"oxide-k's":              "IBqAsPY3HGcDlHFhbu_WvXEk3VdHt3Usrpo6EXV3fSmxu5zVxs9TYhzjbw==",
		"garbage":                "\xff\xfe garbage",
	}
	for n, more := range []string{"A", "AA", "AAA", "AAAA", "=", "==", "\n", "\r", "\r\n", " ", "\t"} {
		forms[fmt.Sprintf("extended %d", n)] = text + more
	}
	for n, c := range []string{"\n", "\r", "\r\n", " ", "\t", "="} {
		for _, at := range []int{0, 3, 7, 15, 16, 20, len(text) - 1} {
			forms[fmt.Sprintf("%d at %d", n, at)] = text[:at] + c + text[at:]
		}
	}
	reg := s.open(path, rawKEK32())
	for name, form := range forms {
		s.Require().NotEqual(text, form, name)
		s.plant(path, victim, form)
		s.cannotRead(reg, victim, reasonFor(form))
		s.neighboursRead(reg)
		s.Require().Equal(form, s.storedIn(reg, victim), name)
	}
	for name, form := range forms {
		s.Run(name, func() {
			s.plant(path, victim, form)
			later := s.open(path, rawKEK32())
			s.cannotRead(later, victim, reasonFor(form))
			s.neighboursRead(later)
			s.isTheOneProblem(later, victim)
		})
	}
	s.heals(reg, victim)
}

func (s *attackSuite) TestATruncatedValueIsNoticed() {
	path := s.create("x.db", rawKEK32())
	reg := s.open(path, rawKEK32())
	text := s.stored(path, victim)
	raw := s.raw(path)
	restore := s.lift(raw, silentValueGuards)
	for size := range text {
		_, err := raw.Exec("UPDATE config SET value = ? WHERE key = ?", text[:size], victim)
		s.Require().NoError(err)
		_, err = registry.Get[string](s.T().Context(), reg, victim)
		s.refuses(err, registry.ErrTampered)
	}
	restore()
	for _, size := range []int{0, 1, 4, 7, 15, 16, 17, 23, len(text) - 1} {
		s.plant(path, victim, text[:size])
		s.cannotRead(reg, victim, registry.ErrTampered)
		later := s.open(path, rawKEK32())
		s.cannotRead(later, victim, registry.ErrTampered)
		s.isTheOneProblem(later, victim)
		s.neighboursRead(later)
	}
	s.heals(reg, victim)
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// createWithSpecialValue is create, with a victim whose text differs in the other alphabet, in the other case and in its
// dropped bits.
func (s *attackSuite) createWithSpecialValue() (path, text string) {
	for n := 0; ; n++ {
		path = s.create(fmt.Sprintf("special%d.db", n), rawKEK32())
		reg, err := registry.OpenEncrypted(s.T().Context(), path, rawKEK32())
		s.Require().NoError(err)
		for !strings.ContainsAny(text, "-_") {
			s.set(reg, victim, canary)
			text = s.storedIn(reg, victim)[16:]
		}
		text = s.storedIn(reg, victim)
		s.Require().NoError(reg.Close())
		if strings.ContainsAny(text[7:15], "abcdef") && len(text[16:])%4 != 0 {
			return path, text
		}
		text = ""
	}
}

// storedIn is a value as the file of an open registry holds it.
func (s *attackSuite) storedIn(reg *registry.Registry, key string) (text string) {
	s.T().Helper()
	row := reg.ReadDB().QueryRowContext(s.T().Context(), "SELECT CAST(value AS TEXT) FROM config WHERE key = ?", key)
	s.Require().NoError(row.Scan(&text))
	return text
}

// writeFlipped writes a closed file with one bit of the only place where it holds part flipped.
func (s *attackSuite) writeFlipped(path string, whole, part []byte, bit int) (written []byte) {
	s.T().Helper()
	at := s.only(whole, part)
	written = append([]byte{}, whole...)
	written[at+bit/8] ^= 1 << (bit % 8)
	s.write(path, written)
	return written
}

// cannotRead fails unless each way to read a value gives the reason, and fills nothing.
func (s *attackSuite) cannotRead(reg *registry.Registry, key string, reason error) {
	s.T().Helper()
	before := s.storedIn(reg, key)
	ctx := s.T().Context()
	s.readerCannot(ctx, reg, key, reason)
	s.Require().NoError(reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.readerCannot(ctx, tx, key, reason)
		return nil
	}))
	s.cannotModify(ctx, reg, key, reason)
	s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.readerCannot(ctx, tx, key, reason)
		s.cannotModify(ctx, tx, key, reason)
		return nil
	}))
	s.Require().Equal(before, s.storedIn(reg, key))
}

func (s *attackSuite) readerCannot(ctx context.Context, r registry.Reader, key string, reason error) {
	s.T().Helper()
	check := func(value any, err error) {
		s.T().Helper()
		s.refuses(err, reason)
		s.Require().Nil(value)
	}
	value, err := registry.Get[any](ctx, r, key)
	check(value, err)
	value, found, err := registry.TryGet[any](ctx, r, key)
	check(value, err)
	s.Require().False(found)
	var dst any
	check(dst, r.GetConfig(ctx, key, &dst))
	e, err := r.GetConfigEntry(ctx, key)
	s.Require().NoError(err)
	check(dst, e.Decode(&dst))
	s.printsNoSecret(e)
	entries, err := r.ListConfig(ctx, "")
	s.Require().NoError(err)
	listed := false
	for _, e := range entries {
		if err := e.Decode(&dst); e.Key == key {
			check(nil, err)
			listed = true
		} else {
			s.Require().NoError(err)
		}
	}
	s.Require().True(listed)
}

func (s *attackSuite) cannotModify(ctx context.Context, w registry.Writer, key string, reason error) {
	s.T().Helper()
	_, err := registry.Modify(ctx, w, key, func(any, bool) (any, error) {
		s.Require().Fail("the callback got a value that nobody wrote")
		return 1, nil
	})
	s.refuses(err, reason)
}

// isTheOneProblem fails unless Verify finds that entry, and nothing else.
func (s *attackSuite) isTheOneProblem(reg *registry.Registry, key string) {
	s.T().Helper()
	report, err := reg.Verify(s.T().Context())
	s.refuses(err, registry.ErrCorrupt)
	s.printsNoSecret(report)
	s.Require().Len(report.Problems, 1)
	s.Require().Equal(registry.SubjectConfig, report.Problems[0].Subject)
	s.Require().Equal(key, report.Problems[0].Key)
}

// heals fails unless an entry that was attacked can be overwritten and read, and deleted and written, and then all is well.
func (s *attackSuite) heals(reg *registry.Registry, key string) {
	s.T().Helper()
	ctx := s.T().Context()
	s.set(reg, key, "healed once")
	value, err := registry.Get[string](ctx, reg, key)
	s.Require().NoError(err)
	s.Require().Equal("healed once", value)
	deleted, err := reg.DeleteConfig(ctx, key)
	s.Require().NoError(err)
	s.Require().True(deleted)
	s.set(reg, key, "healed")
	s.neighboursRead(reg)
	report, err := reg.Verify(ctx)
	s.Require().NoError(err, "%v", report.Problems)
}

func (s *attackSuite) opensHealed(path string) {
	s.T().Helper()
	value, err := registry.Get[string](s.T().Context(), s.open(path, rawKEK32()), victim)
	s.Require().NoError(err)
	s.Require().Equal("healed", value)
}
