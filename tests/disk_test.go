package tests

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestDisk(t *testing.T) {
	// The library that stands in for the disk is preloaded by LD_PRELOAD and finds a file's name in /proc, which other systems
	// do not have. CI is Linux, so there it always runs; how writes share a transaction TestQueue holds everywhere.
	needFaults(t)
	runInFileModes(t, func() *diskSuite { return &diskSuite{} })
}

// diskSuite lets the disk fail under writes that share transactions, in a process of its own.
type diskSuite struct {
	fileSuite
	shim string
}

// What the shim looks for (testdata/faults).
const (
	failSyncVar  = "STATEREGISTRY_TEST_FAIL_SYNC"
	failWriteVar = "STATEREGISTRY_TEST_FAIL_WRITE"
)

const (
	diskWriters = 16
	diskWrites  = 1200
	diskToggles = 25 // a disk that fails, or works again, after about so many answers
)

func (s *diskSuite) SetupSuite() {
	if s.mode.origin {
		s.T().Skip("what shares a transaction is the same in the other encrypted modes")
	}
	s.shim = buildFaults(s.T())
}

func (s *diskSuite) TestAFullDiskRefusesWritesAndLosesNone() {
	answers := s.writeWhile(failWriteVar)
	s.Require().NotZero(answers["full"])
	s.Require().Zero(answers["unknown"])
}

func (s *diskSuite) TestASyncThatFailsLeavesItOpenWhatWasWritten() {
	answers := s.writeWhile(failSyncVar)
	s.Require().NotZero(answers["unknown"])
	s.Require().Zero(answers["full"])
}

// writeWhile lets another process write while its disk fails from time to time, and holds what it was answered against what
// is there. It returns how many writes were answered how.
func (s *diskSuite) writeWhile(fails string) map[string]int {
	path, flag := s.file("registry.db"), s.file("flag")
	s.Require().NoError(s.open(path).Close())
	exe, err := os.Executable()
	s.Require().NoError(err)
	cmd := exec.Command(exe, s.mode.name, path)
	cmd.Env = append(cmd.Environ(), "LD_PRELOAD="+s.shim, fails+"="+flag)
	child := startCommand(s.T(), "disk", cmd)

	answers, outcome := map[string]int{}, map[string]string{}
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	failing := false
	for line := child.hear(); line != "end"; line = child.hear() {
		answer, key, ok := strings.Cut(line, " ")
		s.Require().True(ok, line)
		s.Require().Contains([]string{"ok", "full", "unknown"}, answer, line)
		answers[answer]++
		outcome[key] = answer
		if random.IntN(diskToggles) == 0 {
			if failing = !failing; failing {
				s.Require().NoError(os.WriteFile(flag, nil, 0o600))
			} else {
				s.Require().NoError(os.Remove(flag))
			}
		}
		child.say("heard") // or a child that is faster than this process would be done before its disk fails
	}
	child.wait()
	s.Require().Len(outcome, diskWrites)
	s.Require().NotZero(answers["ok"])

	reg := s.open(path)
	defer func() { s.Require().NoError(reg.Close()) }()
	_, err = reg.Verify(s.T().Context())
	s.Require().NoError(err)
	entries, err := reg.ListConfig(s.T().Context(), "")
	s.Require().NoError(err)
	changes, err := reg.Changes(s.T().Context(), 0, 2*diskWrites)
	s.Require().NoError(err)
	s.Require().Len(changes, len(entries), "each that was written was written once")
	there := map[string]bool{}
	for _, entry := range entries {
		there[entry.Key] = true
		var value string
		s.Require().NoError(entry.Decode(&value))
		s.Require().Equal(entry.Key, value)
	}
	for key, answer := range outcome {
		switch answer {
		case "ok":
			s.Require().True(there[key], "%s was acknowledged", key)
		case "full":
			s.Require().False(there[key], "%s was refused", key)
		}
		delete(there, key)
	}
	s.Require().Empty(there)
	s.T().Log(answers)
	return answers
}

// roleDisk writes from several goroutines, and says of each write what it was answered.
func roleDisk(args []string) error {
	ctx := context.Background()
	reg, err := modeNamed(args[0]).open(ctx, args[1])
	if err != nil {
		return err
	}
	out, heard := bufio.NewWriter(os.Stdout), hearing()
	var mu sync.Mutex
	var next atomic.Int64
	var group sync.WaitGroup
	for range diskWriters {
		group.Go(func() {
			for i := next.Add(1); i <= diskWrites; i = next.Add(1) {
				key := "key/" + strconv.FormatInt(i, 10)
				_, err := reg.SetConfig(ctx, key, key)
				answer := fmt.Sprint("error: ", err)
				switch {
				case err == nil:
					answer = "ok"
				case errors.Is(err, registry.ErrCommitUnknown):
					answer = "unknown"
				case errors.Is(err, syscall.ENOSPC):
					answer = "full"
				}
				mu.Lock()
				fmt.Fprintln(out, answer, key)
				out.Flush()
				heard.Scan()
				mu.Unlock()
			}
		})
	}
	group.Wait()
	fmt.Fprintln(out, "end")
	_ = reg.Close() // the disk may fail under it too, and then it says so
	return out.Flush()
}
