package tests

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// What is in the file itself once everybody who could write it has closed it.
func TestSettled(t *testing.T) {
	runInFileModes(t, func() *settledSuite { return &settledSuite{} })
}

type settledSuite struct{ fileSuite }

// copyOpenFile copies a database that this process has open: by another process, since closing a second descriptor of it would
// drop this one's locks.
func copyOpenFile(t testing.TB, from, to string) {
	t.Helper()
	if runtime.GOOS == "windows" { // where it would not, and there is no cp
		copyFile(t, from, to)
		return
	}
	out, err := exec.Command("cp", from, to).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// isComplete copies the file alone, and looks whether all that was written is in the copy.
func (s *settledSuite) isComplete(path string) {
	s.T().Helper()
	copied := s.file("copy.db")
	copyOpenFile(s.T(), path, copied)
	reg := s.open(copied)
	requireFilled(s.T(), reg)
	s.Require().NoError(reg.Close())
	s.Require().NoError(os.Remove(copied))
}

func (s *settledSuite) TestTheFileIsCompleteIfAReaderClosesLast() {
	path := s.file("x.db")
	writer := s.open(path)
	reader := s.open(path, registry.WithReadOnly())
	fill(s.T(), writer)
	s.Require().NoError(reader.View(background, func(ctx context.Context, tx *registry.Tx) error {
		requireFilled(s.T(), tx)
		return nil
	}))
	s.Require().NoError(writer.Close())
	s.isComplete(path)
	requireFilled(s.T(), reader)
	s.Require().NoError(reader.Close())
	s.isComplete(path)
}

func (s *settledSuite) TestTheFileIsCompleteIfAReaderOfAnotherProcessClosesLast() {
	path := s.create("x.db")
	reader := startRole(s.T(), "read", s.mode.name, path)
	s.Require().Equal("open", reader.hear())
	writer := s.open(path)
	_, err := writer.SetConfig(background, "later", 1)
	s.Require().NoError(err)
	s.Require().NoError(writer.Close())
	for range 2 {
		copied := s.file("copy.db")
		copyOpenFile(s.T(), path, copied)
		reg := s.open(copied)
		_, err = registry.Get[int](background, reg, "later")
		s.Require().NoError(err)
		s.Require().NoError(reg.Close())
		s.Require().NoError(os.Remove(copied))
		if reader != nil {
			reader.say("close")
			reader.wait()
			reader = nil
		}
	}
}

// roleRead opens a registry for reading, reads, and waits for a line before it closes.
func roleRead(args []string) error {
	reg, err := modeNamed(args[0]).open(background, args[1], registry.WithReadOnly())
	if err != nil {
		return err
	}
	if _, err := reg.ListConfig(background, ""); err != nil {
		return err
	}
	saying("open")
	hearing().Scan()
	return reg.Close()
}

// A handle that has written nothing itself settles what another left.
func (s *settledSuite) TestWhatACrashLeftIsInTheFileAfterTheNextClose() {
	path := s.file("x.db")
	child := startRole(s.T(), "umask", s.mode.name, path)
	s.Require().Equal("filled", child.hear())
	child.kill()
	reader := s.open(path, registry.WithReadOnly())
	s.Require().NoError(s.open(path).Close())
	copied := s.file("copy.db")
	copyOpenFile(s.T(), path, copied)
	reg := s.open(copied)
	_, err := registry.Get[int](background, reg, "greeting")
	s.Require().NoError(err)
	s.Require().NoError(reader.Close())
}

func (s *settledSuite) TestAViewHoldsItOffAndTheLogSaysSo() {
	path := s.create("x.db")
	var log bytes.Buffer
	logger := registry.WithLogger(slog.New(slog.NewTextHandler(&log, nil)))
	reader := s.open(path, registry.WithReadOnly())
	s.Require().NoError(reader.View(background, func(ctx context.Context, tx *registry.Tx) error {
		writer := s.open(path, logger)
		_, err := writer.SetConfig(background, "later", 1)
		s.Require().NoError(err)
		s.Require().NoError(writer.Close(), "nothing is lost")
		s.Require().Contains(log.String(), "level=WARN")
		s.Require().Contains(log.String(), "FILE-wal")
		return nil
	}))
	log.Reset()
	writer := s.open(path, logger)
	s.Require().NoError(writer.Close())
	s.Require().NotContains(log.String(), "WARN")
	_, err := registry.Get[int](background, reader, "later")
	s.Require().NoError(err)
}

// A View of the newest state holds off nothing that matters.
func (s *settledSuite) TestAViewOfTheNewestStateDoesNotHoldItOff() {
	path := s.file("x.db")
	var log bytes.Buffer
	writer := s.open(path, registry.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	fill(s.T(), writer)
	reader := s.open(path, registry.WithReadOnly())
	s.Require().NoError(reader.View(background, func(ctx context.Context, tx *registry.Tx) error {
		s.Require().NoError(writer.Close())
		s.isComplete(path)
		return nil
	}))
	s.Require().NotContains(log.String(), "WARN")
}
