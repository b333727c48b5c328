package tests

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fileCall is a system call that succeeded: what it did, to which path, and to which new one.
type fileCall struct{ what, path, to string }

func (c fileCall) String() string {
	if c.to == "" {
		return c.what + " " + c.path
	}
	return c.what + " " + c.path + " -> " + c.to
}

// traceRole lets a process play a role to its end, and returns what it wrote, synced, renamed, removed and gave away, in order. (A
// library that is preloaded would see SQLite's calls, but not those of Go.)
func traceRole(t *testing.T, role string, args ...string) []fileCall {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	said, err := os.CreateTemp(t.TempDir(), "said")
	require.NoError(t, err)
	defer said.Close()
	cmd := exec.Command(exe, args...)
	cmd.Env = append(cmd.Environ(), roleVar+"="+role)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // the kernel knows the tracer by its thread
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); errors.Is(err, syscall.EPERM) {
		t.Skipf("no process may be traced here: %v", err)
	} else {
		require.NoError(t, err)
	}
	tr := &tracer{pid: cmd.Process.Pid, pending: map[int]fileCall{}, known: map[int]bool{}}
	status, err := tr.run()
	if errors.Is(err, syscall.EIO) {
		_ = cmd.Process.Kill()
		t.Skip("this kernel tells nothing of system calls: Linux before 5.3")
	}
	require.NoError(t, err)
	text, err := os.ReadFile(said.Name())
	require.NoError(t, err)
	require.Zero(t, status.ExitStatus(), "%s", text)
	require.NotEmpty(t, tr.calls)
	return tr.calls
}

// tracer follows all threads of a process from one system call to the next.
type tracer struct {
	pid     int
	pending map[int]fileCall // of the threads that are in one
	known   map[int]bool     // the threads
	calls   []fileCall
}

func (t *tracer) run() (status syscall.WaitStatus, err error) {
	if _, err := syscall.Wait4(t.pid, &status, 0, nil); err != nil {
		return status, err
	}
	t.known[t.pid] = true
	if err := syscall.PtraceSetOptions(t.pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return status, err
	}
	for id := t.pid; ; {
		signal := 0
		if id != 0 {
			if signal, err = t.stopped(id, status); err != nil {
				return status, err
			}
			if err := syscall.PtraceSyscall(id, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return status, err
			}
		}
		if id, err = syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil); err != nil {
			return status, err
		}
		if !status.Stopped() {
			if id == t.pid {
				return status, nil
			}
			id = 0 // a thread ended
		}
	}
}

// stopped returns the signal that a thread gets before it goes on.
func (t *tracer) stopped(id int, status syscall.WaitStatus) (signal int, err error) {
	isNew := !t.known[id]
	t.known[id] = true
	switch got := status.StopSignal(); {
	case got == syscall.SIGTRAP|0x80:
		return 0, t.call(id)
	case got == syscall.SIGTRAP, isNew && got == syscall.SIGSTOP:
		return 0, nil
	default:
		return int(got), nil
	}
}

// call notes a system call that begins or ends.
func (t *tracer) call(id int) error {
	var info struct { // ptrace_syscall_info
		op     uint8
		_      [3]uint8
		arch   uint32
		ip, sp uint64
		nr     uint64 // at the end it is the result
		args   [6]uint64
		_      [2]uint64
	}
	const begins, ends = 1, 2
	_, _, failed := syscall.Syscall6(syscall.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(id), unsafe.Sizeof(info),
		uintptr(unsafe.Pointer(&info)), 0, 0)
	if failed == syscall.ESRCH { // another thread ended the process since this one stopped
		return nil
	}
	if failed != 0 {
		return failed
	}
	switch info.op {
	case begins:
		if c := t.describe(info.nr, info.args); c.what != "" {
			t.pending[id] = c
		}
	case ends:
		if c, ok := t.pending[id]; ok && int64(info.nr) >= 0 {
			t.calls = append(t.calls, c)
		}
		delete(t.pending, id)
	}
	return nil
}

func (t *tracer) describe(number uint64, args [6]uint64) fileCall {
	switch number {
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_FTRUNCATE:
		return fileCall{what: "write", path: t.open(args[0])}
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return fileCall{what: "sync", path: t.open(args[0])}
	case unix.SYS_FCHOWN:
		return fileCall{what: "chown", path: t.open(args[0])}
	case unix.SYS_RENAME:
		return fileCall{"rename", t.text(args[0]), t.text(args[1])}
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return fileCall{"rename", t.at(args[0], args[1]), t.at(args[2], args[3])}
	case unix.SYS_UNLINK:
		return fileCall{what: "remove", path: t.text(args[0])}
	case unix.SYS_UNLINKAT:
		return fileCall{what: "remove", path: t.at(args[0], args[1])}
	}
	return fileCall{}
}

// open returns the path of a descriptor.
func (t *tracer) open(fd uint64) string {
	path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", t.pid, int32(fd)))
	return path
}

// at returns the path of a name in the folder of a descriptor.
func (t *tracer) at(fd, name uint64) string {
	path := t.text(name)
	if strings.HasPrefix(path, "/") || int32(fd) == unix.AT_FDCWD {
		return path
	}
	return filepath.Join(t.open(fd), path)
}

// text returns a string in the process's memory.
func (t *tracer) text(address uint64) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", t.pid))
	if err != nil {
		return ""
	}
	defer memory.Close()
	buffer := make([]byte, 4096)
	n, _ := memory.ReadAt(buffer, int64(address))
	text, _, _ := bytes.Cut(buffer[:n], []byte{0})
	return string(text)
}
