package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// Files whose bytes changed on the disk.
func TestFlips(t *testing.T) {
	runInFileModes(t, func() *flipSuite { return &flipSuite{} })
}

type flipSuite struct{ fileSuite }

const pageSize = 4096

// createLarge makes a registry of many pages.
func (s *flipSuite) createLarge() string {
	path := s.create("whole.db")
	reg := s.open(path)
	s.Require().NoError(reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for key, value := range largeEntries() {
			if _, err := tx.SetConfig(ctx, key, json.RawMessage(value)); err != nil {
				return err
			}
		}
		return nil
	}))
	s.Require().NoError(reg.Close())
	return path
}

// largeEntries are the JSON values that it holds, by their keys.
func largeEntries() map[string]string {
	entries := map[string]string{"api/endpoint": "0", "greeting": "1", "max_threads": "2"} // what fill writes
	for i := range 300 {
		entries[fmt.Sprintf("key/%03d", i)] = fmt.Sprintf(`"value %d"`, i)
	}
	return entries
}

// step is from one page that is damaged to the next.
func (s *flipSuite) step() int {
	if s.mode.origin {
		return 5
	}
	return 1
}

// check opens a damaged file and looks at all of it.
func (s *flipSuite) check(path string, opts ...registry.Option) error {
	reg, err := s.tryOpen(path, opts...)
	if err != nil {
		return err
	}
	_, err = reg.Verify(s.T().Context())
	return errors.Join(err, reg.Close())
}

func (s *flipSuite) TestADamagedPageIsFound() {
	whole, err := os.ReadFile(s.createLarge())
	s.Require().NoError(err)
	s.Require().Greater(len(whole), 8*pageSize)
	for page := 0; page < len(whole)/pageSize; page += s.step() {
		header := page * pageSize // the b-tree's header: kind of page, free blocks, number of cells
		if page == 0 {
			header = 100
		}
		data := append([]byte{}, whole...)
		for i := range 8 {
			data[header+i] ^= 0xff
		}
		for name, opts := range map[string][]registry.Option{"open": nil, "read-only": {registry.WithReadOnly()}} {
			s.Run(fmt.Sprintf("page %d, %s", page+1, name), func() {
				s.Require().NoError(os.WriteFile(s.file("x.db"), data, 0o600))
				s.Require().ErrorIs(s.check(s.file("x.db"), opts...), registry.ErrCorrupt)
			})
		}
	}
}

func (s *flipSuite) TestZeroedPagesAreFound() {
	whole, err := os.ReadFile(s.createLarge())
	s.Require().NoError(err)
	for page := 1; page < len(whole)/pageSize; page += s.step() {
		s.Run(fmt.Sprint(page+1), func() {
			data := append([]byte{}, whole...)
			clear(data[page*pageSize : (page+1)*pageSize])
			s.Require().NoError(os.WriteFile(s.file("x.db"), data, 0o600))
			s.Require().ErrorIs(s.check(s.file("x.db")), registry.ErrCorrupt)
		})
	}
}

// A flipped bit may hit free space, or make a value into another value: SQLite keeps no checksums. Whatever it hits,
// there is an answer, it is one of ours, and what Verify lets pass can be read. An encrypted value is never read as another.
func (s *flipSuite) TestAnyFlippedBitHasAClearAnswer() {
	whole, err := os.ReadFile(s.createLarge())
	s.Require().NoError(err)
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	random := rand.New(rand.NewPCG(seed, 1))
	answers := map[error]int{}
	path := s.file("x.db")
	for range s.mode.rounds(300) {
		at := random.IntN(len(whole))
		if random.IntN(3) == 0 {
			at = random.IntN(pageSize) // the header and the schema are what Open looks at
		}
		bit := byte(1) << random.IntN(8)
		data := append([]byte{}, whole...)
		data[at] ^= bit
		_, _ = os.Remove(path+"-wal"), os.Remove(path+"-shm")
		s.Require().NoError(os.WriteFile(path, data, 0o600))
		answers[s.answer(path, at, bit)]++
	}
	s.T().Log(answers)
}

// All values get a flipped bit, each in another place.
func (s *flipSuite) TestAFlippedBitInAValueMakesItUnreadable() {
	if !s.mode.encrypted() {
		s.T().Skip("plaintext has nothing that tells a value from another")
	}
	whole, err := os.ReadFile(s.createLarge())
	s.Require().NoError(err)
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	random := rand.New(rand.NewPCG(seed, 2))
	values := regexp.MustCompile(`enc:v1:[0-9a-f]{8}:[A-Za-z0-9_-]{40,}`).FindAllIndex(whole, -1)
	s.Require().GreaterOrEqual(len(values), len(largeEntries()))
	for _, at := range values {
		whole[at[0]+random.IntN(16+40)] ^= 1 << random.IntN(8) // the marker, and what every value has behind it
	}
	path := s.file("x.db")
	s.Require().NoError(os.WriteFile(path, whole, 0o600))
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	entries, err := reg.ListConfig(s.T().Context(), "")
	s.Require().NoError(err)
	s.Require().Len(entries, len(largeEntries()))
	for _, entry := range entries {
		err := entry.Decode(new(json.RawMessage))
		if !errors.Is(err, registry.ErrNewerSchema) { // an "enc:v" that is not 1
			s.Require().ErrorIs(err, registry.ErrTampered)
		}
	}
	report, err := reg.Verify(s.T().Context())
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	s.Require().Len(report.Problems, len(entries))
	s.Require().NoError(reg.Close())
}

// The text of a table's CHECK is compiled with every write, and not before.
func (s *flipSuite) TestADamagedCheckIsFound() {
	whole, err := os.ReadFile(s.create("whole.db"))
	s.Require().NoError(err)
	damaged := bytes.ReplaceAll(whole, []byte("typeof(log_limit)"), []byte("type\xeff(log_limit)"))
	s.Require().NotEqual(whole, damaged)
	s.Require().NoError(os.WriteFile(s.file("x.db"), damaged, 0o600))
	s.Require().ErrorIs(s.check(s.file("x.db")), registry.ErrCorrupt)
}

func (s *flipSuite) answer(path string, at int, bit byte) error {
	reg, err := s.tryOpen(path)
	if err == nil {
		defer func() { s.Require().NoError(reg.Close()) }()
		_, err = reg.Verify(s.T().Context())
		entries, listing := reg.ListConfig(s.T().Context(), "")
		if s.mode.encrypted() {
			s.requireNoOther(entries, at, bit)
		}
		if err == nil {
			s.Require().NoError(listing, "byte %d, bit %#x", at, bit)
			_, err = reg.ListModules(s.T().Context())
			s.Require().NoError(err, "byte %d, bit %#x", at, bit)
			return nil
		}
	}
	for _, known := range []error{
		registry.ErrCorrupt, registry.ErrNotRegistry, registry.ErrNewerSchema, registry.ErrMigrationChanged, registry.ErrReadOnly,
		registry.ErrWrongKey,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	s.Require().NoError(err, "byte %d, bit %#x: no sentinel of ours", at, bit)
	return err
}

// requireNoOther fails where a value reads as another than the one that createLarge stored for its key.
func (s *flipSuite) requireNoOther(entries []registry.ConfigEntry, at int, bit byte) {
	stored := largeEntries()
	for _, entry := range entries {
		var got json.RawMessage
		if err := entry.Decode(&got); err != nil {
			continue
		}
		want, ok := stored[entry.Key]
		s.Require().True(ok, "byte %d, bit %#x: %q can be read", at, bit, entry.Key)
		s.Require().Equal(want, string(got), "byte %d, bit %#x", at, bit)
	}
}
