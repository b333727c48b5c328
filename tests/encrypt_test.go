package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestEncrypt(t *testing.T) { suite.Run(t, &encryptSuite{}) }

// encryptSuite is about turning a file that exists into an encrypted one, and back.
type encryptSuite struct{ oxideFixture }

func (s *encryptSuite) SetupTest() {
	s.oxideFixture.SetupTest()
	s.Require().NoError(s.reg.Close())
	s.reg = nil
	s.path = s.copyOfPlain()
}

// oxideKey is the string that opens encrypted.db.
const oxideKey = "s3cr3t-key"

func (s *encryptSuite) encrypt(opts ...registry.Option) (registry.EncryptReport, error) {
	return registry.Encrypt(s.T().Context(), s.path, kekOf(1), opts...)
}

// openEncrypted opens the test's file; it is verified and closed at the end of the test.
func (s *encryptSuite) openEncrypted(kek keyset.KEK, opts ...registry.Option) *registry.Registry {
	reg, err := registry.OpenEncrypted(s.T().Context(), s.path, kek, opts...)
	s.Require().NoError(err)
	s.T().Cleanup(func() { closeVerified(s.T(), reg) })
	return reg
}

// unchangedFile runs f and checks that the file is the same afterwards, byte for byte, and nothing but an empty WAL lies
// beside it.
func (s *encryptSuite) unchangedFile(f func()) {
	before, err := os.ReadFile(s.path)
	s.Require().NoError(err)
	f()
	after, err := os.ReadFile(s.path)
	s.Require().NoError(err)
	s.Require().Equal(before, after)
	if info, err := os.Stat(s.path + "-wal"); err == nil {
		s.Require().Zero(info.Size())
	}
	s.Require().NoFileExists(s.path + "-journal")
}

func (s *encryptSuite) TestOxideKDatabasesReadRowForRowThroughTheLifeOfAKey() {
	for name, fixture := range map[string]string{"plain": oxidePlain, "encrypted": oxideEncrypted} {
		s.Run(name, func() {
			s.path = filepath.Join(s.T().TempDir(), "oxide.db")
			copyFile(s.T(), fixture, s.path)
			report, err := s.encrypt(registry.WithOxideKey(oxideKey))
			s.Require().NoError(err)
			want := registry.EncryptReport{Entries: int64(len(s.expected.Config))}
			if fixture == oxideEncrypted {
				want.FromOxide = want.Entries
			}
			s.Require().Equal(want, report)

			reg, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
			s.Require().NoError(err)
			s.readsAsExpected(reg)
			rows := s.rows(reg)
			_, err = reg.RotateKeyset(s.T().Context())
			s.Require().NoError(err)
			s.readsAsExpected(reg)
			s.Require().NoError(reg.Rewrap(s.T().Context(), kekOf(2)))
			s.readsAsExpected(reg)
			s.Require().NoError(reg.Close())

			reg, err = registry.OpenEncrypted(s.T().Context(), s.path, kekOf(2))
			s.Require().NoError(err)
			s.readsAsExpected(reg)
			again := s.rows(reg)
			s.Require().Equal(rows.log, again.log, "keys that change are no changes")
			for at, held := range rows.held {
				s.Require().Equal(held.revision, again.held[at].revision)
			}
			closeVerified(s.T(), reg)

			s.Require().NoError(registry.Decrypt(s.T().Context(), s.path, kekOf(2)))
			plain, err := registry.Open(s.T().Context(), s.path)
			s.Require().NoError(err)
			s.readsAsExpected(plain)
			s.Require().Equal(rows.log, s.rows(plain).log)
			closeVerified(s.T(), plain)
		})
	}
}

func (s *encryptSuite) TestAFileMayHoldBothPlaintextAndWhatOxideKEncrypted() {
	text, err := strconv.Unquote(sqliteRows(s.T(), oxideEncrypted, "SELECT value FROM config WHERE key = 'api_token'")[0][0])
	s.Require().NoError(err)
	k := s.kernel()
	_, err = k.Exec("UPDATE config SET value = ? WHERE key = 'api_token'", text)
	s.Require().NoError(err)
	s.Require().NoError(k.Close())
	report, err := s.encrypt(registry.WithOxideKey(oxideKey))
	s.Require().NoError(err)
	s.Require().EqualValues(1, report.FromOxide)
	s.readsAsExpected(s.openEncrypted(kekOf(1)))
}

func (s *encryptSuite) TestEachValueThatIsNeitherIsNamedAndTheFileStaysAsItIs() {
	k := s.kernel()
	bad := map[string]string{
		"bad.text": "no JSON", "bad.half": `{"a":`, "bad.marked": "enc:v1:00000000:AAAA", "bad.empty": "", "bad.utf8": "\"\xff\"",
	}
	for key, value := range bad {
		s.Require().NoError(k.setConfig(key, value))
	}
	_, err := k.Exec("INSERT INTO config VALUES ('bad.blob', x'31', '')")
	s.Require().NoError(err)
	s.Require().NoError(k.Close())
	s.unchangedFile(func() {
		report, err := s.encrypt(registry.WithOxideKey(oxideKey))
		s.Require().ErrorIs(err, registry.ErrDecode)
		s.Require().Zero(report)
		for key := range bad {
			s.Require().ErrorContains(err, fmt.Sprintf("%q", key))
		}
		s.Require().ErrorContains(err, `"bad.blob"`)
		s.Require().NotContains(err.Error(), "max_threads", "which is fine")
		s.Require().NotContains(err.Error(), "no JSON", "a value")
	})
}

// No call of this library's makes an entry without a key, but oxide-k's did.
func (s *encryptSuite) TestTheEmptyKeyIsConvertedToo() {
	k := s.kernel()
	s.Require().NoError(k.setConfig("", `"`+canary+`"`))
	s.Require().NoError(k.Close())
	report, err := s.encrypt()
	s.Require().NoError(err)
	s.Require().EqualValues(len(s.expected.Config)+1, report.Entries)
	data, err := os.ReadFile(s.path)
	s.Require().NoError(err)
	s.Require().NotContains(string(data), canary)
	reg, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
	s.Require().NoError(err)
	rotated, err := reg.RotateKeyset(s.T().Context())
	s.Require().NoError(err)
	s.Require().Equal(report.Entries, rotated.Reencrypted)
	s.Require().NoError(reg.Close())
	s.Require().NoError(registry.Decrypt(s.T().Context(), s.path, kekOf(1)))
	s.Require().Equal([][]string{{`"\"` + canary + `\""`}}, sqliteRows(s.T(), s.path, "SELECT value FROM config WHERE key = ''"))
}

func (s *encryptSuite) TestOxideKsKeyIsNeededForWhatOxideKEncrypted() {
	s.path = filepath.Join(s.T().TempDir(), "oxide.db")
	copyFile(s.T(), oxideEncrypted, s.path)
	for _, c := range []struct {
		opts []registry.Option
		want error
	}{
		{nil, registry.ErrEncrypted},
		{[]registry.Option{registry.WithOxideKey("another")}, registry.ErrWrongKey},
	} {
		s.unchangedFile(func() {
			_, err := s.encrypt(c.opts...)
			s.Require().ErrorIs(err, c.want)
			s.Require().ErrorIs(err, registry.ErrDecode)
			s.Require().ErrorContains(err, `"api_token"`)
		})
	}
}

func (s *encryptSuite) TestManyRefusedValuesMakeNoEndlessError() {
	k := s.kernel()
	_, err := k.Exec(`INSERT INTO config SELECT printf('bad/%05d', value), 'no', '' FROM json_each(?)`, zeros(5000))
	s.Require().NoError(err)
	s.Require().NoError(k.Close())
	_, err = s.encrypt()
	s.Require().ErrorIs(err, registry.ErrDecode)
	s.Require().ErrorContains(err, "and 4900 more")
	s.Require().Less(len(err.Error()), 20_000)
}

// zeros is a JSON array of the numbers below n.
func zeros(n int) string {
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i
	}
	text, _ := json.Marshal(numbers)
	return string(text)
}

func (s *encryptSuite) TestWhatIsEncryptedIsNotEncryptedAgain() {
	_, err := s.encrypt()
	s.Require().NoError(err)
	s.unchangedFile(func() {
		_, err := s.encrypt()
		s.Require().ErrorIs(err, registry.ErrEncrypted)
		_, err = registry.Encrypt(s.T().Context(), s.path, kekOf(2))
		s.Require().ErrorIs(err, registry.ErrWrongKey)
		err = registry.Decrypt(s.T().Context(), s.path, kekOf(2))
		s.Require().ErrorIs(err, registry.ErrWrongKey)
	})
}

func (s *encryptSuite) TestOnlyWhatIsEncryptedIsDecrypted() {
	s.unchangedFile(func() {
		s.Require().ErrorIs(registry.Decrypt(s.T().Context(), s.path, kekOf(1)), registry.ErrNotEncrypted)
	})
}

func (s *encryptSuite) TestAFileWithEntriesIsNotEncryptedByOpeningIt() {
	s.unchangedFile(func() {
		_, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
		s.Require().ErrorIs(err, registry.ErrNotEncrypted)
		_, err = registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1), registry.WithReadOnly())
		s.Require().Error(err)
	})
}

func (s *encryptSuite) TestBadArgumentsTouchNothing() {
	ctx := s.T().Context()
	missing := filepath.Join(s.T().TempDir(), "missing.db")
	for _, convert := range []func(path string, kek keyset.KEK, opts ...registry.Option) error{
		func(path string, kek keyset.KEK, opts ...registry.Option) error {
			_, err := registry.Encrypt(ctx, path, kek, opts...)
			return err
		},
		func(path string, kek keyset.KEK, opts ...registry.Option) error {
			return registry.Decrypt(ctx, path, kek, opts...)
		},
	} {
		s.Require().ErrorIs(convert(missing, kekOf(1)), fs.ErrNotExist)
		s.Require().NoFileExists(missing)
		s.Require().ErrorIs(convert(registry.InMemory, kekOf(1)), registry.ErrInvalid)
		s.unchangedFile(func() {
			s.Require().ErrorIs(convert(s.path, keyset.KEK{}), registry.ErrInvalid)
			s.Require().ErrorIs(convert(s.path, keyset.RawKey(nil)), registry.ErrInvalid)
			s.Require().ErrorIs(convert(s.path, kekOf(1), registry.WithReadOnly()), registry.ErrInvalid)
			s.Require().ErrorIs(convert(s.path, kekOf(1), registry.WithProgress(nil)), registry.ErrInvalid)
			s.Require().ErrorIs(convert(s.path, kekOf(1), registry.WithKeyTemplate(7)), registry.ErrInvalid)
		})
	}
}

func (s *encryptSuite) TestAContextThatEndsLeavesTheFileAsItIs() {
	ctx, cancel := context.WithCancel(s.T().Context())
	s.unchangedFile(func() {
		_, err := registry.Encrypt(ctx, s.path, kekOf(1), registry.WithProgress(func(int64, int64) { cancel() }))
		s.Require().ErrorIs(err, context.Canceled)
	})
}

func (s *encryptSuite) TestProgressGoesUpToTheTotal() {
	var told []string
	opt := registry.WithProgress(func(done, total int64) { told = append(told, fmt.Sprint(done, "/", total)) })
	k := s.kernel()
	_, err := k.Exec(`INSERT INTO config SELECT printf('more/%05d', value), '1', '' FROM json_each(?)`, zeros(9000))
	s.Require().NoError(err)
	s.Require().NoError(k.Close())
	_, err = s.encrypt(opt)
	s.Require().NoError(err)
	s.Require().Equal("4096/9013 8192/9013 9013/9013", strings.Join(told, " "))
	told = nil
	s.Require().NoError(registry.Decrypt(s.T().Context(), s.path, kekOf(1), opt))
	s.Require().Equal("4096/9013 8192/9013 9013/9013", strings.Join(told, " "))
}

func (s *encryptSuite) TestATamperedValueIsNamedByDecryptAndKeepsTheFile() {
	_, err := s.encrypt()
	s.Require().NoError(err)
	sqliteExec(s.T(), s.path, "UPDATE config SET value = (SELECT value FROM config WHERE key = 'on') WHERE key = 'max_threads'")
	s.unchangedFile(func() {
		err := registry.Decrypt(s.T().Context(), s.path, kekOf(1))
		s.Require().ErrorIs(err, registry.ErrTampered)
		s.Require().ErrorContains(err, `"max_threads"`)
		s.Require().NotContains(err.Error(), `"on"`)
	})
}

func (s *encryptSuite) TestLongValuesAreConverted() {
	long := strings.Repeat("long ", 1<<20)
	plain, err := registry.Open(s.T().Context(), s.path)
	s.Require().NoError(err)
	for i := range 3 {
		_, err = plain.SetConfig(s.T().Context(), fmt.Sprint("long", i), long)
		s.Require().NoError(err)
	}
	s.Require().NoError(plain.Close())
	_, err = s.encrypt()
	s.Require().NoError(err)
	reg := s.openEncrypted(kekOf(1))
	rotated, err := reg.RotateKeyset(s.T().Context())
	s.Require().NoError(err)
	s.Require().EqualValues(len(s.expected.Config)+3, rotated.Reencrypted)
	for i := range 3 {
		text, err := registry.Get[string](s.T().Context(), reg, fmt.Sprint("long", i))
		s.Require().NoError(err)
		s.Require().Equal(long, text)
	}
}
