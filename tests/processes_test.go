package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// Many processes and one file.
func TestProcesses(t *testing.T) {
	runInFileModes(t, func() *processSuite { return &processSuite{} })
}

type processSuite struct{ fileSuite }

const (
	processes    = 8
	newRounds    = 50
	oxideRounds  = 15
	killedRounds = 25
)

func (s *processSuite) TestProcessesThatOpenANewFileTogetherAllSucceed() {
	s.together(s.mode.rounds(newRounds), func(string) {}, func(reg *registry.Registry, path string) {
		revision, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		s.Require().EqualValues(processes, revision)
	})
}

func (s *processSuite) TestProcessesThatMigrateAnOxideKFileTogetherAllSucceed() {
	s.together(s.mode.rounds(oxideRounds), s.oxideFile,
		func(reg *registry.Registry, path string) {
			modules, err := reg.ListModules(s.T().Context())
			s.Require().NoError(err)
			s.Require().Len(modules, 6)
			s.Require().Len(sqliteRows(s.T(), path, "SELECT 1 FROM migrations"), coreMigrations(s.T()))
		})
}

// together lets processes open one file at the same moment, each write to it, and each see all that was written. Half of
// them close at once, so that the file is also closed and opened at the same moment.
func (s *processSuite) together(rounds int, make func(path string), check func(reg *registry.Registry, path string)) {
	children := []*child{}
	for i := range processes {
		children = append(children, startRole(s.T(), "together", s.mode.name, strconv.Itoa(i)))
	}
	for round := range rounds {
		path := s.file(fmt.Sprintf("%d.db", round))
		make(path)
		for _, step := range []string{"open " + path, "count"} {
			for _, c := range children {
				c.say(step)
			}
			for i, c := range children {
				s.Require().Equal(strings.Fields(step)[0]+" ok", c.hear(), "round %d, process %d", round, i)
			}
		}
		reg := s.open(path, registry.WithMustExist())
		check(reg, path)
		s.Require().NoError(reg.Close())
	}
	for _, c := range children {
		c.wait()
	}
	for _, name := range names(s.T(), s.dir) {
		s.Require().Equal(".db", filepath.Ext(name), "left behind")
	}
}

// roleTogether opens the files that it is told, as the process of a number.
func roleTogether(args []string) error {
	open, number := modeNamed(args[0]).open, args[1]
	odd := strings.ContainsAny(number, "1357")
	var reg *registry.Registry
	var path string
	for lines := hearing(); lines.Scan(); {
		step, rest, _ := strings.Cut(lines.Text(), " ")
		var err error
		switch step {
		case "open":
			path = rest
			if reg, err = open(background, path); err != nil {
				return err
			}
			if _, err := reg.SetConfig(background, "process/"+number, number); err != nil {
				return err
			}
			if odd {
				err = reg.Close()
			}
		case "count":
			if odd {
				if reg, err = open(background, path, registry.WithMustExist()); err != nil {
					return err
				}
			}
			entries, err := reg.ListConfig(background, "process/")
			if err != nil {
				return err
			}
			if len(entries) != processes {
				return fmt.Errorf("%s: process %s sees %d of %d writes", path, number, len(entries), processes)
			}
			if err := reg.Close(); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		saying(step, "ok")
	}
	return nil
}

// A crash leaves the old version or the new one, and nothing of the content is lost.
func (s *processSuite) TestAMigrationThatIsKilledLosesNothing() {
	seed := randomSeed(s.T())
	random := rand.New(rand.NewPCG(seed, 0))
	s.T().Logf("%s=%d", seedVar, seed)

	// How long a migration takes here and now, so that the kills fall into it.
	path := s.file("measured.db")
	s.oxideFile(path)
	c := startRole(s.T(), "migrate", s.mode.name, path)
	s.Require().Equal("ready", c.hear())
	began := time.Now()
	c.say("go")
	s.Require().Equal("done", c.hear())
	whole := time.Since(began)
	c.wait()

	versions := map[bool]int{}
	for round := range s.mode.rounds(killedRounds) {
		path := s.file(fmt.Sprintf("%d.db", round))
		s.oxideFile(path)
		c := startRole(s.T(), "migrate", s.mode.name, path)
		s.Require().Equal("ready", c.hear())
		c.say("go")
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(random.Int64N(int64(whole)+1)), func() { c.kill(); close(killed) })
		<-killed

		copied := s.file("copy.db") // to look at: looking plays back what the crash left, and Open shall do that here
		for _, suffix := range []string{"", "-wal", "-journal"} {
			_ = os.Remove(copied + suffix)
			if _, err := os.Stat(path + suffix); err == nil {
				copyFile(s.T(), path+suffix, copied+suffix)
			}
		}
		s.requireOxideFile(copied)
		versions[len(sqliteRows(s.T(), copied, "SELECT 1 FROM sqlite_schema WHERE name = 'migrations'")) > 0]++
		reg := s.open(path)
		s.requireOxideFile(path)
		revision, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		s.Require().EqualValues(s.oxideFileRows(), revision)
		s.Require().NoError(reg.Close())
		s.Require().NoError(os.Remove(path))
	}
	s.T().Logf("killed before the migration had ended: %d, after: %d", versions[false], versions[true])
}

// roleMigrate opens a file when it is told to, with all else done before.
func roleMigrate(args []string) error {
	open := modeNamed(args[0]).open
	warm, err := open(background, registry.InMemory)
	if err != nil {
		return err
	}
	if err := warm.Close(); err != nil {
		return err
	}
	saying("ready")
	hearing().Scan()
	reg, err := open(context.Background(), args[1])
	if err != nil {
		return err
	}
	saying("done")
	return reg.Close()
}
