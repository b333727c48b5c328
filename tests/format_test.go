package tests

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/tests/formatreader"
)

// What files hold, as the registry reads it and as a reader does that knows docs/format.md alone.
func TestFormat(t *testing.T) { suite.Run(t, &formatSuite{}) }

type formatSuite struct{ suite.Suite }

func (s *formatSuite) path() string { return filepath.Join(s.T().TempDir(), "registry.db") }

// SetupSuite adds the golden files that are missing: go test ./tests -run TestFormat -update
func (s *formatSuite) SetupSuite() {
	if *update {
		addGoldenFiles(s.T())
	}
}

func (s *formatSuite) TestGoldenFilesOpenForEver() {
	var want []string
	for _, f := range goldenFiles {
		want = append(want, f.name+".db", f.name+".json")
	}
	slices.Sort(want)
	s.Require().Equal(want, names(s.T(), goldenDir))
	for _, f := range goldenFiles {
		s.Run(f.name, func() {
			path := s.path()
			copyFile(s.T(), filepath.Join(goldenDir, f.name+".db"), path)
			text, err := os.ReadFile(filepath.Join(goldenDir, f.name+".json"))
			s.Require().NoError(err)
			var description golden
			s.Require().NoError(json.Unmarshal(text, &description))

			content, err := readByPage(s.T(), path, description.KEK)
			s.Require().NoError(err)
			s.Require().Equal(description, describeContent(content, description.KEK))
			reg := openGolden(s.T(), path, description.KEK)
			s.Require().Equal(description, describeGolden(s.T(), reg, description.KEK))
			closeVerified(s.T(), reg)
			s.requireSame(path, description.KEK) // and with the newest schema
		})
	}
}

func (s *formatSuite) TestFreshFilesReadTheSame() {
	seed := randomSeed(s.T())
	for _, t := range []keyset.Template{keyset.XChaCha20Poly1305, keyset.XAES256GCM, keyset.AES256GCM} {
		s.Run(t.String(), func() {
			s.T().Logf("%s=%d", seedVar, seed)
			path, random := s.path(), mathrand.New(mathrand.NewPCG(seed, uint64(t)))
			reg := openGolden(s.T(), path, &goldenRaw, registry.WithKeyTemplate(t))
			s.fill(reg, random)
			s.requireSame(path, &goldenRaw) // while it is open, from the WAL

			_, err := reg.RotateKeyset(s.T().Context(), registry.RotateTo((t+1)%3))
			s.Require().NoError(err)
			s.fill(reg, random)
			s.requireSame(path, &goldenRaw)

			phrase := &goldenKEK{Kind: keyset.KindPassphrase, Passphrase: "пароль\n "}
			s.Require().NoError(reg.Rewrap(s.T().Context(), phrase.kek(s.T())))
			closeVerified(s.T(), reg)
			s.requireSame(path, phrase)
			_, err = readByPage(s.T(), path, &goldenRaw)
			s.Require().ErrorIs(err, formatreader.ErrWrongKey)

			s.Require().NoError(registry.Decrypt(s.T().Context(), path, phrase.kek(s.T())))
			s.requireSame(path, nil)
			_, err = readByPage(s.T(), path, phrase)
			s.Require().ErrorIs(err, formatreader.ErrNotEncrypted)
		})
	}
}

func (s *formatSuite) TestAHalfRotatedFileReadsTheSame() {
	path := s.path()
	reg := openGolden(s.T(), path, &goldenRaw)
	fillGolden(s.T(), reg)
	s.Require().NoError(reg.Close())
	interruptRotation(s.T(), path, &goldenRaw)
	content := s.requireSame(path, &goldenRaw)
	s.Require().Len(content.Keyset.Keys(), 2)
	used := map[uint32]bool{}
	for _, e := range content.Config {
		used[e.KeyID] = true
	}
	s.Require().Len(used, 2)
}

func (s *formatSuite) TestWhatWasOxideKsReadsTheSame() {
	for fixture, key := range map[string]string{oxidePlain: "", oxideEncrypted: "s3cr3t-key"} {
		s.Run(filepath.Base(fixture), func() {
			path := s.path()
			copyFile(s.T(), fixture, path)
			before, err := formatreader.ReadOxide(path, key)
			s.Require().NoError(err)
			opts := []registry.Option{}
			if key != "" {
				opts = append(opts, registry.WithOxideKey(key))
			}
			_, err = registry.Encrypt(s.T().Context(), path, goldenRaw.kek(s.T()), opts...)
			s.Require().NoError(err)
			after := s.requireSame(path, &goldenRaw)

			s.Require().NotEmpty(before.Config)
			s.Require().Len(after.Config, len(before.Config))
			for i, e := range after.Config {
				s.Require().Equal(before.Config[i].Key, e.Key)
				s.Require().Equal(before.Config[i].JSON, e.JSON)
				s.Require().Equal(before.Config[i].UpdatedAt, e.UpdatedAt)
			}
			s.Require().Len(after.Modules, len(before.Modules))
			for i, m := range after.Modules {
				m.Revision = 0
				s.Require().Equal(before.Modules[i], m)
			}
		})
	}
}

// requireSame reads a file in both ways and returns what it holds.
func (s *formatSuite) requireSame(path string, k *goldenKEK) *formatreader.Content {
	s.T().Helper()
	content, err := readByPage(s.T(), path, k)
	s.Require().NoError(err)
	reg := openGolden(s.T(), path, k, registry.WithReadOnly())
	defer reg.Close()
	ctx := s.T().Context()

	revision, err := reg.Revision(ctx)
	s.Require().NoError(err)
	s.Require().Equal(revision, content.Revision)
	entries, err := reg.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Len(content.Config, len(entries))
	for i, e := range entries {
		var text json.RawMessage
		s.Require().NoError(e.Decode(&text))
		found := content.Config[i]
		s.Require().Equal(e.Key, found.Key)
		s.Require().True(string(text) == found.JSON, e.Key)
		s.Require().Equal(e.Revision, found.Revision)
		s.Require().Equal(e.UpdatedAt, found.UpdatedAt)
	}
	modules, err := reg.ListModules(ctx)
	s.Require().NoError(err)
	s.Require().Len(content.Modules, len(modules))
	for i, m := range modules {
		s.Require().Equal(formatreader.Module{
			ID: m.ID, Name: m.Name, Version: m.Version, Kind: string(m.Kind), State: string(m.State),
			Description: m.Description, Revision: m.Revision, UpdatedAt: m.UpdatedAt,
		}, content.Modules[i])
	}
	if k == nil {
		s.Require().Nil(content.Keyset)
		return content
	}
	info, err := reg.KeysetInfo(ctx)
	s.Require().NoError(err)
	s.Require().Equal(info.Generation, content.Keyset.Generation)
	s.Require().Equal(info.Primary, content.Keyset.Primary)
	var keys []formatreader.Key
	for _, key := range info.Keys {
		keys = append(keys, formatreader.Key{ID: key.ID, Algorithm: key.Template.String(), Enabled: key.Status == "enabled"})
	}
	s.Require().Equal(keys, content.Keyset.Keys())
	return content
}

// fill writes entries with random keys and values, some of them long.
func (s *formatSuite) fill(reg *registry.Registry, random *mathrand.Rand) {
	s.T().Helper()
	err := reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for range 40 {
			if _, err := tx.SetConfig(ctx, randomText(random, 1+random.IntN(60)), randomValue(random, 0)); err != nil {
				return err
			}
		}
		_, err := tx.SetConfig(ctx, strings.Repeat("ключ", registry.MaxKey/8), randomText(random, 200_000))
		return err
	})
	s.Require().NoError(err)
	fillGolden(s.T(), reg)
}

// randomText has characters of one to four bytes.
func randomText(random *mathrand.Rand, n int) string {
	alphabet := []rune("abcXYZ019 /.:-_\"\\\n\x7fäßλЖ日本☃🔑")
	text := make([]rune, n)
	for i := range text {
		text[i] = alphabet[random.IntN(len(alphabet))]
	}
	return string(text)
}

func randomValue(random *mathrand.Rand, depth int) any {
	switch n := random.IntN(8); {
	case n == 0:
		return nil
	case n == 1:
		return random.IntN(2) == 0
	case n == 2:
		return json.Number(fmt.Sprint(random.Int64()))
	case n == 3:
		return random.NormFloat64() * 1e30
	case n < 6 && depth < 4:
		list := make([]any, random.IntN(5))
		for i := range list {
			list[i] = randomValue(random, depth+1)
		}
		return map[string]any{randomText(random, 5): list, "": randomValue(random, depth+1)}
	}
	return randomText(random, random.IntN(100))
}

// readByPage reads a file by the page.
func readByPage(t testing.TB, path string, k *goldenKEK) (*formatreader.Content, error) {
	if k == nil {
		return formatreader.Read(path)
	}
	switch k.Kind {
	case keyset.KindRawKey:
		return formatreader.ReadEncrypted(path, formatreader.RawKey(fromHex(t, k.RawKey)))
	case keyset.KindPassphrase:
		return formatreader.ReadEncrypted(path, formatreader.Passphrase(k.Passphrase))
	case keyset.KindAEAD:
		return formatreader.ReadEncrypted(path, formatreader.AEAD(k.Name, newGoldenCipher(t, fromHex(t, k.Key)).Decrypt))
	}
	return nil, fmt.Errorf("no such kind: %s", k.Kind)
}

// goldenCipher is an AEAD of the caller's: XChaCha20-Poly1305 with the nonce before the ciphertext.
type goldenCipher struct{ cipher.AEAD }

func newGoldenCipher(t testing.TB, key []byte) goldenCipher {
	t.Helper()
	a, err := chacha20poly1305.NewX(key)
	require.NoError(t, err)
	return goldenCipher{a}
}

func (x goldenCipher) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	nonce := make([]byte, x.NonceSize())
	_, _ = rand.Read(nonce) // never fails (crypto/rand)
	return x.Seal(nonce, nonce, plaintext, associatedData), nil
}

func (x goldenCipher) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	if len(ciphertext) < x.NonceSize() {
		return nil, errors.New("too short")
	}
	return x.Open(nil, ciphertext[:x.NonceSize()], ciphertext[x.NonceSize():], associatedData)
}
