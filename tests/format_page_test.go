package tests

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xchacha20poly1305"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/key"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/secretdata"

	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/oxide"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/tests/formatreader"
)

// The examples of docs/format.md, held against the code.
func TestFormatPage(t *testing.T) { suite.Run(t, &pageSuite{}) }

type pageSuite struct {
	suite.Suite
	text   string
	blocks map[string]string // by what follows their opening fence
}

func (s *pageSuite) SetupSuite() {
	text, err := os.ReadFile("../docs/format.md")
	s.Require().NoError(err)
	s.text, s.blocks = string(text), map[string]string{}
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+ [\\w-]+)\n(.*?)^```$").FindAllStringSubmatch(s.text, -1) {
		s.Require().NotContains(s.blocks, m[1])
		s.blocks[m[1]] = m[2]
	}
}

// hex is a block of annotated bytes.
func (s *pageSuite) hex(name string) []byte {
	s.Require().Contains(s.blocks, "hex "+name)
	var digits strings.Builder
	for line := range strings.Lines(s.blocks["hex "+name]) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(line + " ")
	}
	return fromHex(s.T(), digits.String())
}

// example is a block of names and values, as one map for each paragraph. The first one's values are in all.
func (s *pageSuite) example(name string) []map[string]string {
	s.Require().Contains(s.blocks, "example "+name)
	var list []map[string]string
	for _, paragraph := range strings.Split(s.blocks["example "+name], "\n\n") {
		values := map[string]string{}
		if len(list) > 0 {
			for k, v := range list[0] {
				values[k] = v
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(paragraph), "\n") {
			key, value, ok := strings.Cut(line, "=")
			s.Require().True(ok, line)
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		list = append(list, values)
	}
	return list
}

// registry is the example that is a whole registry.
func (s *pageSuite) registry() map[string]string {
	all := map[string]string{}
	for _, paragraph := range s.example("registry") {
		for k, v := range paragraph {
			all[k] = v
		}
	}
	return all
}

const exampleKeyID = 0x0a0b0c0d

func (s *pageSuite) TestTheExampleIsARegistry() { s.reads(s.registry(), "XChaCha20-Poly1305") }

// reads makes a file of an example and reads it in both ways.
func (s *pageSuite) reads(x map[string]string, algorithm string) {
	path := filepath.Join(s.T().TempDir(), "registry.db")
	reg, err := registry.Open(s.T().Context(), path)
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	sqliteDamage(s.T(), path, regexp.MustCompile(`^registry_`), fmt.Sprintf("UPDATE registry SET id = '%s'", x["registry.id"]))
	sqliteExec(s.T(), path,
		fmt.Sprintf(`INSERT INTO keyset (one, generation, marker, kek, kek_params, wrapped, scrub)
			VALUES (1, %s, '%s', '%s', '%s', x'%s', %s)`,
			x["keyset.generation"], x["keyset.marker"], x["keyset.kek"], x["keyset.kek_params"], x["keyset.wrapped"], x["keyset.scrub"]),
		fmt.Sprintf("INSERT INTO config (key, value, updated_at) VALUES ('%s', '%s', '%s')",
			x["config.key"], x["config.value"], x["config.updated_at"]))

	content, err := formatreader.ReadEncrypted(path, formatreader.RawKey(fromHex(s.T(), x["raw_key"])))
	s.Require().NoError(err)
	s.Require().Equal(x["registry.id"], content.RegistryID)
	s.Require().Equal([]formatreader.Key{{ID: exampleKeyID, Algorithm: algorithm, Enabled: true}}, content.Keyset.Keys())
	s.Require().Len(content.Config, 1)
	s.Require().Equal(x["config.key"], content.Config[0].Key)
	s.Require().Equal(x["config.json"], content.Config[0].JSON)

	reg, err = registry.OpenEncrypted(s.T().Context(), path, keyset.RawKey(fromHex(s.T(), x["raw_key"])))
	s.Require().NoError(err)
	value, err := registry.Get[string](s.T().Context(), reg, x["config.key"])
	s.Require().NoError(err)
	s.Require().Equal(x["config.json"], fmt.Sprintf("%q", value))
	closeVerified(s.T(), reg)
}

// The same registry with a key of each algorithm.
func (s *pageSuite) TestTheCiphertextsOpen() {
	list := s.example("ciphertexts")[1:]
	s.Require().Len(list, 3)
	for _, x := range list {
		s.Run(x["algorithm"], func() {
			s.Require().Equal(fmt.Sprintf("%08x", exampleKeyID), x["key_id"])
			whole := s.registry()
			s.Require().Equal(whole["config.json"], x["json"])
			whole["config.value"] = x["value"]
			whole["keyset.wrapped"] = hex.EncodeToString(s.wrapped(x["algorithm"], fromHex(s.T(), x["key"])))
			s.reads(whole, x["algorithm"])

			_, ciphertext, err := envelope.Open(x["value"], nil)
			s.Require().NoError(err)
			random := fromHex(s.T(), x["salt"]+x["nonce"])
			s.Require().Equal(random, ciphertext[5:][:len(random)])
			s.Require().Contains(s.text, fmt.Sprintf("| %d bytes |", len(ciphertext)-len(x["json"])))
			if x["derived"] != "" {
				block, err := aes.NewCipher(fromHex(s.T(), x["derived"]))
				s.Require().NoError(err)
				gcm, err := cipher.NewGCM(block)
				s.Require().NoError(err)
				plaintext, err := gcm.Open(nil, fromHex(s.T(), x["nonce"]), ciphertext[5+len(random):], s.hex("value-associated-data"))
				s.Require().NoError(err)
				s.Require().Equal(x["json"], string(plaintext))
			}
		})
	}
}

// wrapped is the example's keyset with another key, as Tink writes it.
func (s *pageSuite) wrapped(algorithm string, secret []byte) []byte {
	data := secretdata.NewBytesFromData(secret, insecuresecretdataaccess.Token{})
	var k key.Key
	switch algorithm {
	case "XChaCha20-Poly1305":
		p, err := xchacha20poly1305.NewParameters(xchacha20poly1305.VariantTink)
		s.Require().NoError(err)
		k, err = xchacha20poly1305.NewKey(data, exampleKeyID, p)
		s.Require().NoError(err)
	case "XAES-256-GCM":
		p, err := xaesgcm.NewParameters(xaesgcm.VariantTink, 12)
		s.Require().NoError(err)
		k, err = xaesgcm.NewKey(data, exampleKeyID, p)
		s.Require().NoError(err)
	case "AES-256-GCM":
		p, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
			KeySizeInBytes: 32, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
		})
		s.Require().NoError(err)
		k, err = aesgcm.NewKey(data, exampleKeyID, p)
		s.Require().NoError(err)
	}
	m := tinkkeyset.NewManager()
	id, err := m.AddKey(k)
	s.Require().NoError(err)
	s.Require().NoError(m.SetPrimary(id))
	h, err := m.Handle()
	s.Require().NoError(err)
	kek, err := subtle.NewXChaCha20Poly1305(fromHex(s.T(), s.registry()["raw_key"]))
	s.Require().NoError(err)
	var text bytes.Buffer
	s.Require().NoError(h.WriteWithAssociatedData(tinkkeyset.NewJSONWriter(&text), kek, s.hex("keyset-associated-data")))
	var message struct{ EncryptedKeyset []byte }
	s.Require().NoError(json.Unmarshal(text.Bytes(), &message))
	return message.EncryptedKeyset
}

func (s *pageSuite) TestTheAssociatedDataIsTheCodes() {
	x := s.registry()
	bound := envelope.Keyset(x["registry.id"], 1, exampleKeyID, x["keyset.kek"], x["keyset.kek_params"])
	s.Require().Equal("1", x["keyset.generation"])
	s.Require().Equal(bound, s.hex("keyset-associated-data"))
	s.Require().Equal(len(bound), s.lengthBefore(" bytes: ```hex keyset-associated-data"))
	s.Require().Equal(len(bound), s.lengthBefore(" bytes of associated data"))
	s.Require().Equal(envelope.AppendValue(nil, x["registry.id"], "config", x["config.key"], exampleKeyID), s.hex("value-associated-data"))
}

// lengthBefore is the number that the page has before a text.
func (s *pageSuite) lengthBefore(text string) int {
	before, _, found := strings.Cut(strings.Join(strings.Fields(s.text), " "), text)
	s.Require().True(found, text)
	words := strings.Fields(before)
	var n int
	_, err := fmt.Sscan(words[len(words)-1], &n)
	s.Require().NoError(err)
	return n
}

func (s *pageSuite) TestTheWrappedKeysetHoldsTheMessage() {
	x := s.registry()
	opened, err := newGoldenCipher(s.T(), fromHex(s.T(), x["raw_key"])).
		Decrypt(fromHex(s.T(), x["keyset.wrapped"]), s.hex("keyset-associated-data"))
	s.Require().NoError(err)
	s.Require().Equal(hex.EncodeToString(s.hex("keyset-plaintext")), hex.EncodeToString(opened))

	w, err := keyset.RawKey(fromHex(s.T(), x["raw_key"])).PrepareStored(keyset.Kind(x["keyset.kek"]), x["keyset.kek_params"])
	s.Require().NoError(err)
	h, err := w.Unwrap(fromHex(s.T(), x["keyset.wrapped"]), s.hex("keyset-associated-data"))
	s.Require().NoError(err)
	s.Require().EqualValues(exampleKeyID, h.Primary())
}

// TestTinkReadsTheWrappedKeysetAsItsOwn: a tag, a length, and it is Tink's EncryptedKeyset.
func (s *pageSuite) TestTinkReadsTheWrappedKeysetAsItsOwn() {
	x := s.registry()
	wrapped := fromHex(s.T(), x["keyset.wrapped"])
	message := append(binary.AppendUvarint([]byte{0x12}, uint64(len(wrapped))), wrapped...)
	kek, err := subtle.NewXChaCha20Poly1305(fromHex(s.T(), x["raw_key"]))
	s.Require().NoError(err)
	h, err := tinkkeyset.ReadWithAssociatedData(
		tinkkeyset.NewBinaryReader(strings.NewReader(string(message))), kek, s.hex("keyset-associated-data"))
	s.Require().NoError(err)
	a, err := aead.New(h)
	s.Require().NoError(err)
	_, ciphertext, err := envelope.Open(x["config.value"], nil)
	s.Require().NoError(err)
	plaintext, err := a.Decrypt(ciphertext, s.hex("value-associated-data"))
	s.Require().NoError(err)
	s.Require().Equal(x["config.json"], string(plaintext))
}

func (s *pageSuite) TestThePassphraseExampleIsTheCodes() {
	x := s.example("passphrase")[0]
	params, err := kdf.Parse(x["kek_params"], kdf.DefaultCost())
	s.Require().NoError(err)
	key, err := params.Key(s.T().Context(), x["passphrase"])
	s.Require().NoError(err)
	s.Require().Equal(x["key"], hex.EncodeToString(key))
	written := strings.Split(x["kek_params"], "$")
	s.Require().Equal(x["salt"], hexOfBase64(s.T(), written[4]))
	s.Require().Equal(x["commitment"], hexOfBase64(s.T(), written[5]))
	s.Require().Contains(s.text, strings.TrimSuffix(kdf.Params{Cost: kdf.DefaultCost()}.String(), "$")+"<salt>$<commitment>")
}

func (s *pageSuite) TestTheOxideKExampleIsTheCodes() {
	x := s.example("oxide-k")[0]
	key, err := oxide.NewKey(x["string"])
	s.Require().NoError(err)
	plaintext, err := key.Open(x["value"])
	s.Require().NoError(err)
	s.Require().Equal(x["json"], string(plaintext))
}

func (s *pageSuite) TestTheMarksOfAFileAreTheCodes() {
	s.Require().Contains(s.text, fmt.Sprintf("| `PRAGMA application_id` | %#x (%d),", migrate.ApplicationID, migrate.ApplicationID))
	s.Require().Contains(s.text, "\n| "+newestVersion(s.T())+" | as described here |\n")
}

// newestVersion is the version of the schema of a new file.
func newestVersion(t testing.TB) string {
	path := filepath.Join(t.TempDir(), "registry.db")
	reg := openGolden(t, path, nil)
	closeVerified(t, reg)
	rows := sqliteRows(t, path, "SELECT max(number) FROM migrations WHERE set_name = 'core'")
	return strings.Trim(rows[0][0], `"`)
}

func hexOfBase64(t testing.TB, text string) string {
	raw, err := base64.RawStdEncoding.DecodeString(text)
	require.NoError(t, err)
	return hex.EncodeToString(raw)
}
