package tinkv1

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/tink/go/aead"
	"github.com/google/tink/go/keyset"
	tinkpb "github.com/google/tink/go/proto/tink_go_proto"
	"github.com/stretchr/testify/suite"
)

func TestCompatibility(t *testing.T) { suite.Run(t, &compatibilitySuite{}) }

// compatibilitySuite has a registry, of which only its id and its KEK are there: the peer and the tests write its rows.
type compatibilitySuite struct {
	suite.Suite
	peer     *peer
	registry string
	rawKey   []byte
}

func (s *compatibilitySuite) SetupSuite() { s.peer = startPeer(s.T()) }

func (s *compatibilitySuite) TearDownSuite() {
	if s.peer.cmd.ProcessState == nil {
		s.peer.end(s.T())
	}
}

func (s *compatibilitySuite) SetupTest() {
	s.registry, s.rawKey = hex.EncodeToString(random(16)), random(32)
}

// algorithm is one that both libraries have: the registry's name for it, and v1's template.
type algorithm struct {
	name     string
	template *tinkpb.KeyTemplate
}

func algorithms() []algorithm {
	return []algorithm{
		{"XChaCha20-Poly1305", aead.XChaCha20Poly1305KeyTemplate()},
		{"AES-256-GCM", aead.AES256GCMKeyTemplate()},
	}
}

// xaes is the registry's name of what only v2 has.
const xaes = "XAES-256-GCM"

// eachPair runs f for every algorithm of a first key and of the one that it is rotated to.
func (s *compatibilitySuite) eachPair(f func(first, next algorithm)) {
	for _, first := range algorithms() {
		for _, next := range algorithms() {
			s.Run(first.name+" to "+next.name, func() { f(first, next) })
		}
	}
}

// written is a value in its place, as a registry stores it.
type written struct {
	place
	value []byte
	text  string
}

// toWrite are values of some sizes, at keys whose bytes are not their characters.
func (s *compatibilitySuite) toWrite() []written {
	var list []written
	for _, entry := range [][2]string{
		{"max_threads", `16`},
		{"nothing", `""`},
		{"größe/日本", `{"text":"naïve ☃","n":[1,2.5,null,true]}`},
		{"a long one", `"` + strings.Repeat("x", 200_000) + `"`},
		{"looks like a value", `"enc:v1:00000000:AA"`},
	} {
		list = append(list, written{place: place{s.registry, "config", entry[0]}, value: []byte(entry[1])})
	}
	return list
}

// v2 is the peer's answer to a request that it must not refuse.
func (s *compatibilitySuite) v2(q request) answer {
	s.T().Helper()
	q.RawKey = s.rawKey
	a := s.peer.ask(s.T(), q)
	s.Require().Empty(a.Refused, a.Reason)
	return a
}

// v2Refusal is how the peer refuses a request.
func (s *compatibilitySuite) v2Refusal(q request) string {
	s.T().Helper()
	if q.RawKey == nil {
		q.RawKey = s.rawKey
	}
	return s.peer.ask(s.T(), q).Refused
}

// v2New is a new registry's row, its keys and its values.
func (s *compatibilitySuite) v2New(algorithm string) (answer, []written) {
	s.T().Helper()
	a := s.v2(request{Do: "create", Keyset: row{Registry: s.registry}, Template: algorithm})
	return a, s.v2Writes(a.Keyset)
}

// v2Rotates is the row after r, with a new primary key, and values under that.
func (s *compatibilitySuite) v2Rotates(r row, algorithm string) (answer, []written) {
	s.T().Helper()
	a := s.v2(request{Do: "rotate", Keyset: r, Template: algorithm})
	return a, s.v2Writes(a.Keyset)
}

func (s *compatibilitySuite) v2Writes(r row) []written {
	s.T().Helper()
	list := s.toWrite()
	for i, w := range list {
		list[i].text = s.v2(request{Do: "encrypt", Keyset: r, Table: w.Table, Key: w.Key, Value: w.value}).Text
	}
	return list
}

func (s *compatibilitySuite) requireV2Reads(r row, list []written) {
	s.T().Helper()
	for _, w := range list {
		got := s.v2(request{Do: "decrypt", Keyset: r, Table: w.Table, Key: w.Key, Text: w.text})
		s.Require().Equal(w.value, got.Value, w.Key)
	}
}

// v2Keys is what the peer says of a row's keys.
func (s *compatibilitySuite) v2Keys(r row) []key {
	s.T().Helper()
	return s.v2(request{Do: "describe", Keyset: r}).Keys
}

// v2Opens is how the peer refuses a text in a place, "" where it does not.
func (s *compatibilitySuite) v2Opens(r row, p place, text string) string {
	s.T().Helper()
	if p.Registry != r.Registry { // a registry that has the same keys
		h := s.v1Unwraps(r)
		r.Registry = p.Registry
		var err error
		r, err = wrap(r, s.rawKey, h)
		s.Require().NoError(err)
	}
	return s.v2Refusal(request{Do: "decrypt", Keyset: r, Table: p.Table, Key: p.Key, Text: text})
}

// v1New is v2New by v1.
func (s *compatibilitySuite) v1New(algorithm *tinkpb.KeyTemplate) (row, []written) {
	s.T().Helper()
	h, err := keyset.NewHandle(algorithm)
	s.Require().NoError(err)
	return s.v1Stores(row{Registry: s.registry, KEK: "rawkey"}, h)
}

// v1Rotates is v2Rotates by v1.
func (s *compatibilitySuite) v1Rotates(r row, algorithm *tinkpb.KeyTemplate) (row, []written) {
	s.T().Helper()
	m := keyset.NewManagerFromHandle(s.v1Unwraps(r))
	id, err := m.Add(algorithm)
	s.Require().NoError(err)
	s.Require().NoError(m.SetPrimary(id))
	h, err := m.Handle()
	s.Require().NoError(err)
	return s.v1Stores(r, h)
}

// v1Stores is the row after r, with h, and values under that.
func (s *compatibilitySuite) v1Stores(r row, h *keyset.Handle) (row, []written) {
	s.T().Helper()
	r.Generation++
	r, err := wrap(r, s.rawKey, h)
	s.Require().NoError(err)
	a, err := aead.New(h)
	s.Require().NoError(err)
	list := s.toWrite()
	for i, w := range list {
		list[i].text, err = seal(a, r.Primary, w.place, w.value)
		s.Require().NoError(err)
	}
	return r, list
}

func (s *compatibilitySuite) v1Unwraps(r row) *keyset.Handle {
	s.T().Helper()
	h, err := unwrap(r, s.rawKey)
	s.Require().NoError(err)
	s.Require().Equal(r.Primary, h.KeysetInfo().GetPrimaryKeyId())
	return h
}

func (s *compatibilitySuite) requireV1Reads(r row, list []written) {
	s.T().Helper()
	a, err := aead.New(s.v1Unwraps(r))
	s.Require().NoError(err)
	for _, w := range list {
		id, ciphertext, err := parse(w.text)
		s.Require().NoError(err, w.Key)
		s.Require().Equal(w.text, text(id, ciphertext), "one value has one text")
		got, err := a.Decrypt(ciphertext, w.associatedData(id))
		s.Require().NoError(err, w.Key)
		s.Require().Equal(w.value, got, w.Key)
	}
}

// v1Opens is v1's error for a text in a place, nil where it opens.
func (s *compatibilitySuite) v1Opens(r row, p place, text string) error {
	s.T().Helper()
	id, ciphertext, err := parse(text)
	s.Require().NoError(err)
	a, err := aead.New(s.v1Unwraps(r))
	s.Require().NoError(err)
	_, err = a.Decrypt(ciphertext, p.associatedData(id))
	return err
}

// requireUnder checks which key the values say they are under.
func (s *compatibilitySuite) requireUnder(primary uint32, list []written) {
	s.T().Helper()
	for _, w := range list {
		id, _, err := parse(w.text)
		s.Require().NoError(err)
		s.Require().Equal(primary, id, w.Key)
	}
}

// v1Keys is what v1 says of a row's keys, in the peer's words. (It does not say how long they are.)
func (s *compatibilitySuite) v1Keys(r row) []key {
	s.T().Helper()
	names := map[string]string{}
	for _, a := range algorithms() {
		names[a.template.GetTypeUrl()] = a.name
	}
	var keys []key
	for _, info := range s.v1Unwraps(r).KeysetInfo().GetKeyInfo() {
		s.Require().Equal(tinkpb.OutputPrefixType_TINK, info.GetOutputPrefixType())
		keys = append(keys, key{
			ID:       info.GetKeyId(),
			Primary:  info.GetKeyId() == r.Primary,
			Status:   strings.ToLower(info.GetStatus().String()),
			Template: names[info.GetTypeUrl()],
		})
	}
	return keys
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return b
}
