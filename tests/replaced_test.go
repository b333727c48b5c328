package tests

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/oxide-k/stateregistry/registry"
)

// What was looked at and accepted is what is opened, whatever is put in its place in between: here a folder's link goes
// back and forth between a registry and another program's database.
func (s *refusalSuite) TestAFileThatIsPutInItsPlaceMeanwhileStaysAsItIs() {
	s.create("x.db")
	s.Require().NoError(os.Mkdir(s.file("good"), 0o700))
	s.Require().NoError(os.Mkdir(s.file("foreign"), 0o700))
	s.Require().NoError(os.Rename(s.file("x.db"), s.file("good/x.db")))
	foreign := s.file("foreign/x.db")
	sqliteExec(s.T(), foreign, "PRAGMA application_id = 252006675", "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('a')")
	before := contentOf(s.T(), foreign)
	symlink(s.T(), "good", s.file("link"))

	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			target := []string{"foreign", "good"}[i%2]
			if err := errors.Join(os.Symlink(target, s.file("next")), os.Rename(s.file("next"), s.file("link"))); err != nil {
				stopped <- err
				return
			}
		}
	}()
	defer func() {
		close(stop)
		s.Require().NoError(<-stopped)
	}()
	opened, refused := 0, 0
	for range s.mode.rounds(300) {
		reg, err := s.tryOpen(filepath.Join(s.file("link"), "x.db"))
		switch {
		case err == nil:
			opened++
			s.Require().NoError(reg.Close())
		case errors.Is(err, registry.ErrBusy), errors.Is(err, registry.ErrNotRegistry):
			refused++
		default:
			s.Require().NoError(err)
		}
		s.Require().Equal(before, contentOf(s.T(), foreign))
	}
	s.T().Logf("%d opened, %d refused", opened, refused)
}
