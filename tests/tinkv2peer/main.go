// Command tinkv2peer is the other process of the tests in tests/tinkv1, which link Tink's former library and so cannot link
// tink-go/v2. It does with keysets and values what a registry does. Requests come on standard input as JSON, each gets an
// answer on standard output, and nothing is kept between them: what a registry would store goes back and forth.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
)

type request struct {
	Do       string // create, describe, rotate, retire, encrypt, decrypt
	RawKey   []byte // the KEK
	Keyset   row    // for create the registry's id alone
	Template string // create and rotate: the new key's
	Table    string // encrypt and decrypt: where the value is
	Key      string
	Value    []byte // to encrypt
	Text     string // to decrypt
}

// row is what a registry stores of its keyset.
type row struct {
	Registry   string
	Generation int64
	Primary    uint32
	KEK        keyset.Kind
	Params     string
	Wrapped    []byte
}

type key struct {
	ID       uint32
	Primary  bool
	Status   string
	Template string
}

type answer struct {
	Refused string // which of the refusals it was, with its Reason; then there is nothing else
	Reason  string
	Keyset  row    // create, rotate, retire
	Keys    []key  // those, and describe
	Text    string // encrypt
	Value   []byte // decrypt
}

var errDecrypt = errors.New("the value does not decrypt")

// refusals are the errors that a test may ask for. Any other is a mistake of the test's, and ends this program.
var refusals = map[string]error{
	"ErrWrongKEK":    keyset.ErrWrongKEK,
	"ErrUnsupported": keyset.ErrUnsupported,
	"ErrMalformed":   envelope.ErrMalformed,
	"decrypt":        errDecrypt,
}

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tinkv2peer:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	requests.DisallowUnknownFields()
	for {
		var q request
		if err := requests.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		a, err := do(q)
		if err != nil {
			if a.Refused = refusal(err); a.Refused == "" {
				return fmt.Errorf("%s: %w", q.Do, err)
			}
			a.Reason = err.Error()
		}
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

func refusal(err error) string {
	for name, sentinel := range refusals {
		if errors.Is(err, sentinel) {
			return name
		}
	}
	return ""
}

func do(q request) (answer, error) {
	if q.Do == "create" {
		w, err := keyset.RawKey(q.RawKey).Prepare()
		if err != nil {
			return answer{}, err
		}
		h, err := keyset.New(template(q.Template))
		return wrap(w, q.Keyset, h, err)
	}
	w, err := keyset.RawKey(q.RawKey).PrepareStored(q.Keyset.KEK, q.Keyset.Params)
	if err != nil {
		return answer{}, err
	}
	h, err := w.Unwrap(q.Keyset.Wrapped, associatedData(q.Keyset))
	if err != nil {
		return answer{}, err
	}
	switch q.Do {
	case "describe":
		return answer{Keys: keys(h)}, nil
	case "rotate":
		h, err = h.WithPrimary(template(q.Template))
		return wrap(w, q.Keyset, h, err)
	case "retire":
		h, err = h.Without(others(h)...)
		return wrap(w, q.Keyset, h, err)
	case "encrypt":
		return encrypt(h, q)
	case "decrypt":
		return decrypt(h, q)
	}
	return answer{}, errors.New("no such request")
}

// wrap is the row after old, with h.
func wrap(w *keyset.Wrapper, old row, h *keyset.Handle, err error) (answer, error) {
	if err != nil {
		return answer{}, err
	}
	next := row{
		Registry: old.Registry, Generation: old.Generation + 1, Primary: h.Primary(), KEK: w.Kind(), Params: w.Params(),
	}
	next.Wrapped, err = w.Wrap(h, associatedData(next))
	return answer{Keyset: next, Keys: keys(h)}, err
}

func associatedData(r row) []byte {
	return envelope.Keyset(r.Registry, r.Generation, r.Primary, string(r.KEK), r.Params)
}

func encrypt(h *keyset.Handle, q request) (answer, error) {
	ciphertext, err := h.Encrypt(q.Value, envelope.AppendValue(nil, q.Keyset.Registry, q.Table, q.Key, h.Primary()))
	if err != nil {
		return answer{}, err
	}
	text, err := envelope.Seal(ciphertext)
	return answer{Text: text}, err
}

func decrypt(h *keyset.Handle, q request) (answer, error) {
	id, ciphertext, err := envelope.Open(q.Text, nil)
	if err != nil {
		return answer{}, err
	}
	value, err := h.Decrypt(ciphertext, envelope.AppendValue(nil, q.Keyset.Registry, q.Table, q.Key, id))
	if err != nil {
		return answer{}, fmt.Errorf("%w: %w", errDecrypt, err)
	}
	return answer{Value: value}, nil
}

func keys(h *keyset.Handle) []key {
	var keys []key
	for _, k := range h.Keys() {
		keys = append(keys, key{ID: k.ID, Primary: k.Primary, Status: k.Status, Template: k.Template.String()})
	}
	return keys
}

// others are the ids of the keys that are not primary.
func others(h *keyset.Handle) []uint32 {
	var ids []uint32
	for _, k := range h.Keys() {
		if !k.Primary {
			ids = append(ids, k.ID)
		}
	}
	return ids
}

// template is the one of that name, an invalid one where there is none.
func template(name string) keyset.Template {
	t := keyset.XChaCha20Poly1305
	for t.Valid() && t.String() != name {
		t++
	}
	return t
}
