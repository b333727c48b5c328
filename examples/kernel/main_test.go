package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

const (
	plain     = "../../tests/testdata/oxide-k/plain.db"
	manifests = "../../tests/testdata/manifests"
)

// TestMain lets this binary be the second process of a demo.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == actArgument {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestKernel(t *testing.T) { suite.Run(t, new(kernelSuite)) }

type kernelSuite struct {
	suite.Suite
	dir string
}

func (s *kernelSuite) SetupTest() { s.dir = filepath.Join(s.T().TempDir(), "demo") }

// demo runs the example in the test's folder.
func (s *kernelSuite) demo(args ...string) (string, error) {
	var out bytes.Buffer
	err := run(s.T().Context(), append([]string{"-dir", s.dir, "-from", plain, "-manifests", manifests}, args...), &out)
	return out.String(), err
}

func (s *kernelSuite) TestTellsTheStoryTwice() {
	for range 2 {
		out, err := s.demo()
		s.Require().NoError(err)
		for _, line := range []string{
			"migration=00001_oxide_k.sql",
			"6 modules and 13 config entries, numbered up to revision 19",
			"petstore  openapi  3 operations  21",
			"petstore: starting -> running, revision 24",
			"from running it can become loaded: false; stopping: true",
			`refused, as it should be: registry: transition module "petstore": conflict: the module is "running", not "loaded"`,
			"max_threads      int            32, twice what it was",
			"Pet Store: running -> stopping, since nobody asks it any more; it is stopping now",
			"decisions in the log: 1; the refused one",
			fmt.Sprintf("stopping -> stopped, by process %d, since it has nothing left to do", os.Getpid()),
			"stopped -> starting, by process ",
			"kernel.timeout   main.duration  1m30s, the default: nobody had set it",
			`refused, as it should be: registry: set config "endpoint": conflict: it is at revision 34, wanted 9`,
			"Pet Store       1.0.0               native  starting  30",
			`{"url":"https://example.com","retries":4}`,
			"verified: 7 modules, 14 config entries, 34 changes, no damage",
			"14 config entries are encrypted, and no plaintext of them is left in the file",
			`refused, as it should be: registry: get config "api_token": it is encrypted`,
			"14 entries are sealed anew under fresh keys; nothing of before is left in the file: true",
			"restored: 14 config entries; the old file is registry.db.before-restore-",
			"max_threads is 32 again, and revisions go on at 4294967331",
			"change log does not reach back to that revision",
			"and no revision came of it: 4294967331, 4294967331",
			"the keyset is at generation 4, under a rawkey",
			"wrong key",
			"verified: 14 config entries, each opened and read",
		} {
			s.Require().Contains(out, line)
		}
		another := regexp.MustCompile(`stopped -> starting, by process (\d+), since somebody asks`).FindStringSubmatch(out)
		s.Require().NotNil(another)
		s.Require().NotEqual(fmt.Sprint(os.Getpid()), another[1])
		lines := bytes.Count([]byte(out), []byte("\n"))
		s.Require().Less(lines, 120, "a demo that nobody reads to its end")
	}
}

func (s *kernelSuite) TestLeavesARegistryAndABackupThatOpenAndVerify() {
	ctx := s.T().Context()
	_, err := s.demo()
	s.Require().NoError(err)
	entries, err := os.ReadDir(s.dir)
	s.Require().NoError(err)
	s.Require().Len(entries, 5, "the two, what was restored over, the key and the mark: closed registries leave nothing beside them")
	key, err := os.ReadFile(filepath.Join(s.dir, keyFile))
	s.Require().NoError(err)
	for _, file := range []string{registryFile, backupFile} {
		changes := 34
		open := registry.Open
		if file == registryFile {
			changes = 1 // the log began anew with the restore
			open = func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
				return registry.OpenEncrypted(ctx, path, keyset.RawKey(key), opts...)
			}
		}
		reg, err := open(ctx, filepath.Join(s.dir, file), registry.WithReadOnly())
		s.Require().NoError(err, file)
		report, err := reg.Verify(ctx)
		s.Require().NoError(err, file)
		s.Require().EqualValues(changes, report.Changes, file)
		timeout, err := registry.Get[string](ctx, reg, "kernel.timeout")
		s.Require().NoError(err, file)
		s.Require().Equal("2m0s", timeout, file)
		petstore, err := reg.GetModule(ctx, "petstore")
		s.Require().NoError(err, file)
		s.Require().Equal(registry.StateStarting, petstore.State, file)
		s.Require().NoError(reg.Close())
	}
}

func (s *kernelSuite) TestPrintsNoSecret() {
	out, err := s.demo()
	s.Require().NoError(err)
	s.Require().Regexp(`(?m)^api_token +10 +\(hidden\)$`, out)
	s.Require().NotContains(out, "my-super-secret-token")
	for key, secret := range map[string]bool{
		"api_token": true, "API-Key": true, "db.password": true, "tls.private_key": true, "client_secret": true,
		"keyboard": false, "max_threads": false, "feature.flags": false,
	} {
		s.Require().Equal(secret, looksSecret(key), key)
	}
}

func (s *kernelSuite) TestTakesNoFolderThatIsNotItsOwn() {
	s.Require().NoError(os.Mkdir(s.dir, 0o700))
	theirs := filepath.Join(s.dir, registryFile)
	s.Require().NoError(os.WriteFile(theirs, []byte("theirs"), 0o600))
	out, err := s.demo()
	s.Require().ErrorContains(err, s.dir)
	s.Require().Empty(out)
	entries, err := os.ReadDir(s.dir)
	s.Require().NoError(err)
	s.Require().Len(entries, 1)
	text, err := os.ReadFile(theirs)
	s.Require().NoError(err)
	s.Require().Equal("theirs", string(text))
}

func (s *kernelSuite) TestKeepsWhatOthersPutIntoItsFolder() {
	_, err := s.demo()
	s.Require().NoError(err)
	notes := filepath.Join(s.dir, "notes.txt")
	s.Require().NoError(os.WriteFile(notes, nil, 0o600))
	_, err = s.demo()
	s.Require().NoError(err)
	s.Require().FileExists(notes)
}

func (s *kernelSuite) TestWithoutItsSourceItTouchesNothing() {
	_, err := s.demo("-from", "absent.db")
	s.Require().ErrorIs(err, fs.ErrNotExist)
	s.Require().ErrorContains(err, "-from")
	s.Require().NoDirExists(s.dir)
}

func (s *kernelSuite) TestSaysWhatIsWrongWithItsArguments() {
	for _, args := range [][]string{{"-unknown"}, {"argument"}, {"-manifests", s.T().TempDir()}} {
		_, err := s.demo(args...)
		s.Require().Error(err, "%q", args)
	}
	out, err := s.demo("-h")
	s.Require().NoError(err)
	s.Require().Contains(out, "-manifests")
}

func (s *kernelSuite) TestAnInterruptEndsIt() {
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	err := run(ctx, []string{"-dir", s.dir, "-from", plain, "-manifests", manifests}, &bytes.Buffer{})
	s.Require().ErrorIs(err, context.Canceled)
}
