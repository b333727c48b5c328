package tests

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/oxide-k/stateregistry/registry"
)

// The same for a path without links, whose folder is exchanged for another: each of them has a file of that name.
func (s *refusalSuite) TestAFolderThatIsExchangedMeanwhileIsLookedAtAgain() {
	s.Require().NoError(os.Mkdir(s.file("here"), 0o700))
	s.Require().NoError(os.Mkdir(s.file("there"), 0o700))
	path := s.create("here/x.db")
	foreign := s.file("there/x.db")
	sqliteExec(s.T(), foreign, "PRAGMA application_id = 252006675", "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('a')")
	before := contentOf(s.T(), foreign)
	exchange := func() error {
		return unix.Renameat2(unix.AT_FDCWD, s.file("here"), unix.AT_FDCWD, s.file("there"), unix.RENAME_EXCHANGE)
	}
	if err := exchange(); err != nil {
		s.T().Skipf("this file system exchanges nothing: %v", err)
	}
	s.Require().NoError(exchange())

	stop, stopped := make(chan struct{}), make(chan error, 1)
	exchanged := 0
	go func() {
		for {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			if err := exchange(); err != nil {
				stopped <- err
				return
			}
			exchanged++
		}
	}()
	opened, refused := 0, 0
	for range s.mode.rounds(300) {
		reg, err := s.tryOpen(path, registry.WithMustExist())
		switch {
		case err == nil:
			opened++
			s.Require().NoError(reg.Close())
		case errors.Is(err, registry.ErrReplaced), errors.Is(err, registry.ErrNotRegistry):
			refused++
		default:
			s.Require().NoError(err)
		}
	}
	close(stop)
	s.Require().NoError(<-stopped)
	if exchanged%2 == 1 {
		s.Require().NoError(exchange())
	}
	s.Require().Equal(before, contentOf(s.T(), foreign))
	requireFilled(s.T(), s.open(path))
	s.T().Logf("%d exchanged, %d opened, %d refused", exchanged, opened, refused)
}
