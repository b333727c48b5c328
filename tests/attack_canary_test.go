package tests

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"

	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"google.golang.org/protobuf/proto"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// watch looks for secrets in all that a test leaves or prints.
type watch struct {
	*attackSuite
	path    string
	secrets needles
	temp    string // where temporary files go
	log     bytes.Buffer
}

func (s *attackSuite) watch(path string) *watch {
	w := &watch{attackSuite: s, path: path, secrets: needles{}, temp: s.T().TempDir()}
	maps.Copy(w.secrets, attackNeedles())
	s.T().Setenv("TMPDIR", w.temp)
	s.T().Setenv("SQLITE_TMPDIR", w.temp)
	return w
}

func (w *watch) logger() registry.Option {
	return registry.WithLogger(slog.New(slog.NewTextHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// clean fails where a secret is in the files, which may be open, in what was logged, or in these printed values.
func (w *watch) clean(when string, printed ...any) {
	w.T().Helper()
	w.Require().Empty(w.secrets.in(w.live(w.path)), when)
	w.Require().Empty(w.secrets.in(w.log.Bytes()), when)
	w.Require().Empty(names(w.T(), w.temp), when)
	w.Require().Empty(w.temporary(), when)
	for _, value := range printed {
		w.Require().Empty(w.secrets.in([]byte(fmt.Sprintf("%v %+v %#v %s", value, value, value, value))), "%s: %T", when, value)
	}
}

// temporary names the files in which a secret is and that have no name any more, as SQLite's temporary files have none from
// the start, wherever it puts them. Only a process that has them open can see them.
func (w *watch) temporary() (found []string) {
	const open = "/proc/self/fd"
	files, err := os.ReadDir(open)
	if err != nil {
		return nil // a system that does not tell
	}
	for _, file := range files {
		name, err := os.Readlink(filepath.Join(open, file.Name()))
		if err != nil || !strings.HasSuffix(name, " (deleted)") || strings.Contains(filepath.Base(name), ".db") {
			continue
		}
		if data, err := os.ReadFile(filepath.Join(open, file.Name())); err == nil && len(w.secrets.in(data)) > 0 {
			found = append(found, name)
		}
	}
	return found
}

// addKeys adds the keys of a serialized keyset of Tink's to what is looked for.
func (w *watch) addKeys(serialized []byte) {
	w.T().Helper()
	var ks tinkpb.Keyset
	w.Require().NoError(proto.Unmarshal(serialized, &ks))
	w.Require().NotEmpty(ks.GetKey())
	for _, key := range ks.GetKey() {
		value := key.GetKeyData().GetValue() // a message that ends with the key's 32 bytes
		w.Require().GreaterOrEqual(len(value), 32)
		w.secrets.add(value[len(value)-32:])
	}
}

func (s *attackSuite) TestNoSecretIsLeftAnywhere() {
	ctx := s.T().Context()
	w := s.watch(s.file("x.db"))
	var copies, temporary []string
	reg := s.open(w.path, cheapPassphrase(attackPassphrase), w.logger(), registry.WithProgress(func(_, _ int64) {
		copies = append(copies, s.killed(w.path))
		temporary = append(temporary, w.temporary()...)
	}))
	s.fill(reg)
	large := strings.Repeat(canary+" ", 20_000)
	s.Require().NoError(reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		for n := range 4500 { // enough for a rotation to take several pages
			if _, err := tx.SetConfig(ctx, fmt.Sprint("k/", n), map[string]any{canary: n}); err != nil {
				return err
			}
		}
		return nil
	}))
	s.set(reg, "large", large)
	w.clean("written", reg)
	s.set(reg, "large", large+large)
	s.set(reg, "k/1", canary)
	for _, key := range []string{"large", "k/2"} {
		_, err := reg.DeleteConfig(ctx, key)
		s.Require().NoError(err)
	}
	w.clean("updated and deleted")

	kms := s.newService()
	report, err := reg.RotateKeyset(ctx)
	s.Require().NoError(err)
	w.clean("rotated", reg, report)
	s.Require().NoError(reg.Rewrap(ctx, keyset.AEAD("kms", kms)))
	_, err = reg.RotateKeyset(ctx)
	s.Require().NoError(err)
	for _, serialized := range kms.encrypted {
		w.addKeys(serialized)
	}
	s.Require().Greater(len(kms.encrypted), 2)
	info, err := reg.KeysetInfo(ctx)
	s.Require().NoError(err)
	verified, err := reg.Verify(ctx)
	s.Require().NoError(err)
	_, handle := s.unwrapped(w.path, keyset.AEAD("kms", kms))
	w.clean("rewrapped", reg, info, verified, handle, keyset.AEAD("kms", kms), cheapPassphrase(attackPassphrase), rawKEK32())
	see := func(ctx context.Context, tx *registry.Tx) error {
		entries, err := tx.ListConfig(ctx, "")
		s.Require().NoError(err)
		for _, e := range entries {
			s.Require().NoError(e.Decode(new(any)))
		}
		w.clean("in a transaction", tx, entries, entries[0], &entries[0], struct{ e registry.ConfigEntry }{entries[0]}, ctx)
		return nil
	}
	s.Require().NoError(reg.View(ctx, see))
	s.Require().NoError(reg.Update(ctx, see))

	s.Require().NoError(reg.Backup(ctx, s.file("copy.db")))
	w.clean("backed up")
	s.Require().NoError(reg.Close())
	w.clean("closed", reg)
	s.opensWhole(w.path, keyset.AEAD("kms", kms))
	s.opensWhole(s.file("copy.db"), keyset.AEAD("kms", kms))

	// What a crash would have left in the middle of the first rotation, and of the second.
	s.Require().Empty(temporary)
	s.Require().Greater(len(copies), 3)
	for n, path := range copies {
		s.Require().Empty(w.secrets.in(s.live(path)))
		kek := cheapPassphrase(attackPassphrase)
		if n >= len(copies)/2 {
			kek = keyset.AEAD("kms", kms)
		}
		s.opensWhole(path, kek)
	}
}

// oxideSecrets are what is secret in the databases of oxide-k, of whatever is long enough to be looked for.
func (w *watch) oxideSecrets(file string) (keyString string) {
	w.T().Helper()
	text, err := os.ReadFile("testdata/oxide-k/expected.json")
	w.Require().NoError(err)
	var expected struct {
		KeyString string `json:"key_string"`
	}
	w.Require().NoError(json.Unmarshal(text, &expected))
	w.secrets.add([]byte(expected.KeyString))
	raw := sqliteOpen(w.T(), file)
	rows, err := raw.Query("SELECT value FROM config")
	w.Require().NoError(err)
	for rows.Next() {
		var value string
		w.Require().NoError(rows.Scan(&value))
		if value = strings.Trim(value, `"`); len(value) > 10 {
			w.secrets.add([]byte(value))
		}
	}
	w.Require().NoError(rows.Err())
	w.Require().NoError(raw.Close())
	return expected.KeyString
}

// A file of oxide-k's that is encrypted holds neither its plaintext nor its ciphertext, nor the string that was its key.
func (s *attackSuite) TestNothingOfOxideKIsLeftAfterEncrypt() {
	for _, file := range []string{oxidePlain, oxideEncrypted} {
		s.Run(filepath.Base(file), func() {
			ctx := s.T().Context()
			w := s.watch(s.file("x.db"))
			copyFile(s.T(), file, w.path)
			opts := []registry.Option{w.logger(), registry.WithOxideKey(w.oxideSecrets(s.copied(file, "source.db")))}
			s.Require().NotEmpty(w.secrets.in(s.read(w.path)))
			s.Require().NoError(os.Remove(s.file("source.db")))

			var midway string
			progress := registry.WithProgress(func(done, total int64) {
				if midway == "" {
					midway = s.killed(w.path)
				}
			})
			report, err := registry.Encrypt(ctx, w.path, rawKEK32(), append(opts, progress)...)
			s.Require().NoError(err)
			s.Require().Positive(report.Entries)
			w.clean("closed", report)
			reg := s.open(w.path, rawKEK32(), opts...)
			entries, err := reg.ListConfig(ctx, "")
			s.Require().NoError(err)
			s.Require().Len(entries, int(report.Entries))
			for _, e := range entries {
				s.Require().NoError(e.Decode(new(any)))
			}
			w.clean("open", reg, entries)

			// A crash in the middle of it leaves the file as it was; the next Encrypt does all of it.
			w.path = midway
			again, err := registry.Encrypt(ctx, w.path, rawKEK32(), opts...)
			s.Require().NoError(err)
			s.Require().Equal(report, again)
			w.clean("after a crash")
		})
	}
}

// A crash between the encryption and the rewriting of the file: whoever opens it next does that first.
func (s *attackSuite) TestPlaintextThatACrashLeftIsRemovedByTheNextOpen() {
	ctx := s.T().Context()
	w := s.watch(s.plain("x.db"))
	reg := s.openLocked(w.path)
	s.Require().NoError(reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error { // holds off the rewriting
		_, err := registry.Encrypt(background, w.path, rawKEK32(), registry.WithLockTimeout(0), w.logger())
		s.refuses(err, registry.ErrBusy)
		return nil
	}))
	s.Require().NotEmpty(w.secrets.in(s.live(w.path)), "there is nothing to scrub")
	crashed := s.killed(w.path)
	w.path = crashed
	next := s.open(crashed, rawKEK32(), w.logger())
	w.clean("opened")
	s.opensWholeWhileOpen(next)
	s.Require().NoError(next.Close())
	w.clean("closed")
}

// Large values overflow what SQLite keeps in memory of a statement that may have to be undone.
func (s *attackSuite) TestEncryptPutsNoPlaintextIntoTemporaryFiles() {
	w := s.watch(s.file("x.db"))
	reg := s.openLocked(w.path)
	for n := range 3 {
		s.set(reg, fmt.Sprint("large", n), strings.Repeat(canary, 20_000))
	}
	s.Require().NoError(reg.Close())
	var temporary []string
	_, err := registry.Encrypt(s.T().Context(), w.path, rawKEK32(), registry.WithProgress(func(_, _ int64) {
		temporary = append(temporary, w.temporary()...)
	}))
	s.Require().NoError(err)
	s.Require().Empty(temporary)
	w.clean("encrypted")
}

// Options live as long as the registry.
func (s *attackSuite) TestAnOptionsSecretIsNotPrinted() {
	for name, open := range map[string]func(string, ...registry.Option) *registry.Registry{
		"plaintext": s.openLocked,
		"encrypted": func(path string, opts ...registry.Option) *registry.Registry {
			return s.open(path, rawKEK32(), opts...)
		},
	} {
		s.Run(name, func() {
			option := registry.WithOxideKey(canary)
			reg := open(s.file("x.db"), option)
			s.printsNoSecret(option)
			s.printsNoSecret(reg)
			s.printsNoSecret(struct{ r *registry.Registry }{reg})
		})
	}
}
