package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

func TestRekeyProcesses(t *testing.T) { suite.Run(t, &rekeyProcessSuite{}) }

// rekeyProcessSuite is about keys that change while other processes have the file open, and about processes that die.
type rekeyProcessSuite struct{ rekeySuite }

// Entries of these tests, and rounds of killing.
const (
	rekeyEntries = 10_000
	rekeyKills   = 12
)

func (s *rekeyProcessSuite) TestOtherProcessesReadAndWriteOnWithoutAnError() {
	s.fill(s.reg, rekeyEntries)
	entries := strconv.Itoa(rekeyEntries)
	others := []*child{startRole(s.T(), "follow", s.path, entries), startRole(s.T(), "follow", s.path, entries)}
	for _, c := range others {
		s.Require().Equal("ready", c.hear())
	}
	for range 4 {
		report := s.rotate(s.reg)
		s.Require().Len(report.Retired, 1)
		s.Require().Empty(report.Kept)
	}
	for _, c := range others {
		reads, writes, err := ended(c)
		s.Require().NoError(err)
		s.Require().Positive(reads.calls)
		s.Require().Positive(writes.calls)
	}
	s.Require().Len(s.keys(s.reg), 1)
	s.holds(s.reg, rekeyEntries)
}

// Two processes that rotate at the same time finish together, whoever was first.
func (s *rekeyProcessSuite) TestProcessesThatRotateTogetherBothSucceed() {
	s.fill(s.reg, rekeyEntries)
	old := s.info(s.reg).Primary
	others := []*child{startRole(s.T(), "rotate", s.path), startRole(s.T(), "rotate", s.path)}
	for _, c := range others {
		s.Require().Equal("ready", c.hear())
	}
	for _, c := range others {
		c.say("go")
	}
	for _, c := range others {
		s.Require().Equal("done", c.hear())
		c.wait()
	}
	info := s.info(s.reg)
	s.Require().Len(info.Keys, 1)
	s.Require().NotEqual(old, info.Primary)
	s.Require().Len(s.keys(s.reg), 1)
	s.holds(s.reg, rekeyEntries)
}

// roleRotate rotates when it is told to.
func roleRotate(args []string) error {
	reg, err := openKEK1(background, args[0])
	if err != nil {
		return err
	}
	saying("ready")
	hearing().Scan()
	if _, err := reg.RotateKeyset(background); err != nil {
		return err
	}
	saying("done")
	return reg.Close()
}

// killAt starts a role on a path and kills it at a random moment of its work, which takes about that long.
func (s *rekeyProcessSuite) killAt(random *rand.Rand, whole time.Duration, role string, args ...string) {
	c := startRole(s.T(), role, args...)
	s.Require().Equal("ready", c.hear())
	c.say("go")
	killed := make(chan struct{})
	time.AfterFunc(time.Duration(random.Int64N(int64(whole)+1)), func() { c.kill(); close(killed) })
	<-killed
}

// took is how long a role's work takes here and now, so that the kills fall into it.
func (s *rekeyProcessSuite) took(role string, args ...string) time.Duration {
	c := startRole(s.T(), role, args...)
	s.Require().Equal("ready", c.hear())
	began := time.Now()
	c.say("go")
	s.Require().Equal("done", c.hear())
	whole := time.Since(began)
	c.wait()
	return whole
}

func (s *rekeyProcessSuite) TestARotationThatIsKilledLosesNothingAndIsFinishedByTheNext() {
	s.fill(s.reg, rekeyEntries)
	random := s.random()
	whole := s.took("rotate", s.path)
	begun := 0
	for range rekeyKills {
		before := s.info(s.reg)
		s.killAt(random, whole, "rotate", s.path)
		s.holds(s.reg, rekeyEntries)
		if s.info(s.reg).Generation != before.Generation {
			begun++
		}
		if random.IntN(2) == 0 { // the next may be killed as well
			continue
		}
		report := s.rotate(s.reg)
		s.Require().NotEqual(before.Primary, report.Primary)
		s.Require().Len(s.info(s.reg).Keys, 1)
		s.Require().Len(s.keys(s.reg), 1)
		s.holds(s.reg, rekeyEntries)
	}
	s.T().Logf("%d of %d were killed after they had begun", begun, rekeyKills)
}

// roleRekey rekeys when it is told to.
func roleRekey(args []string) error {
	reg, err := openKEK1(background, args[0])
	if err != nil {
		return err
	}
	saying("ready")
	hearing().Scan()
	if _, err := reg.Rekey(background, kekOf(2)); err != nil {
		return err
	}
	saying("done")
	return reg.Close()
}

// After a kill the registry is whole under the one KEK or the other, and never under both.
func (s *rekeyProcessSuite) TestARekeyThatIsKilledIsDoneOrNot() {
	s.fill(s.reg, rekeyEntries)
	s.Require().NoError(s.reg.Close())
	random := s.random()
	measured := filepath.Join(s.T().TempDir(), "measured.db")
	copyFile(s.T(), s.path, measured)
	whole := s.took("rekey", measured)
	outcomes := map[bool]int{}
	for range rekeyKills {
		path := filepath.Join(s.T().TempDir(), "killed.db")
		copyFile(s.T(), s.path, path)
		s.killAt(random, whole, "rekey", path)
		old, errOld := openKEK1(s.ctx, path)
		reg, errNew := registry.OpenEncrypted(s.ctx, path, kekOf(2))
		done := errOld != nil
		outcomes[done]++
		if done {
			s.Require().NoError(errNew)
			s.Require().ErrorIs(errOld, registry.ErrWrongKey)
		} else {
			s.Require().ErrorIs(errNew, registry.ErrWrongKey)
			reg = old
		}
		s.holds(reg, rekeyEntries)
		s.Require().Len(s.keys(reg), 1)
		if !done {
			_, err := reg.Rekey(s.ctx, kekOf(2))
			s.Require().NoError(err)
		}
		closeVerified(s.T(), reg)
	}
	s.T().Logf("%d of %d were killed before the commit", outcomes[false], rekeyKills)
	s.reg = s.open()
}

// roleEncrypt encrypts a file when it is told to.
func roleEncrypt(args []string) error {
	saying("ready")
	hearing().Scan()
	if _, err := registry.Encrypt(background, args[0], kekOf(1)); err != nil {
		return err
	}
	saying("done")
	return nil
}

// After a kill the file is plaintext or encrypted, whole either way; and once it is open encrypted, no plaintext is left.
func (s *rekeyProcessSuite) TestAnEncryptionThatIsKilledLosesNothing() {
	random := s.random()
	plain := filepath.Join(s.T().TempDir(), "plain.db")
	reg, err := registry.Open(s.ctx, plain)
	s.Require().NoError(err)
	s.fill(reg, rekeyEntries)
	for i := range 100 {
		_, err := reg.SetConfig(s.ctx, fmt.Sprint("secret/", i), canary+strconv.Itoa(i))
		s.Require().NoError(err)
	}
	s.Require().NoError(reg.Close())
	measured := filepath.Join(s.T().TempDir(), "measured.db")
	copyFile(s.T(), plain, measured)
	whole := s.took("encrypt", measured)

	outcomes := map[string]int{}
	for range rekeyKills {
		path := filepath.Join(s.T().TempDir(), "killed.db")
		copyFile(s.T(), plain, path)
		s.killAt(random, whole, "encrypt", path)
		scrub := ""
		reg, err := registry.Open(s.ctx, path) // plays back what the crash left
		s.Require().NoError(err)
		err = reg.View(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
			return tx.QueryRowContext(ctx, "SELECT coalesce(max(scrub), 'plaintext') FROM keyset").Scan(&scrub)
		})
		s.Require().NoError(err)
		if scrub == "plaintext" {
			s.holds(reg, rekeyEntries)
		}
		s.Require().NoError(reg.Close())
		outcomes[scrub]++
		if scrub == "plaintext" {
			_, err := registry.Encrypt(s.ctx, path, kekOf(1))
			s.Require().NoError(err)
		}
		reg, err = openKEK1(s.ctx, path)
		s.Require().NoError(err)
		s.holds(reg, rekeyEntries)
		closeVerified(s.T(), reg)
		s.holdsNoCanary(path)
	}
	s.T().Logf("left plaintext: %d, to be scrubbed: %d, done: %d", outcomes["plaintext"], outcomes["1"], outcomes["0"])
}
