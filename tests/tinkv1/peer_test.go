package tinkv1

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// request, key and answer are tests/tinkv2peer's.
type request struct {
	Do       string
	RawKey   []byte
	Keyset   row
	Template string
	Table    string
	Key      string
	Value    []byte
	Text     string
}

type key struct {
	ID       uint32
	Primary  bool
	Status   string
	Template string
}

type answer struct {
	Refused string
	Reason  string
	Keyset  row
	Keys    []key
	Text    string
	Value   []byte
}

// peer is a running tests/tinkv2peer.
type peer struct {
	path   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *json.Decoder
	stderr bytes.Buffer
}

// startPeer builds and starts the peer; it is killed at the end of t, should it still run then.
func startPeer(t *testing.T) *peer {
	t.Helper()
	p := &peer{path: filepath.Join(t.TempDir(), "tinkv2peer.exe")} // on Windows a program needs the ending
	goCommand(t, "../..", "build", "-mod=readonly", "-buildvcs=false", "-o", p.path, "./tests/tinkv2peer")

	p.cmd = exec.Command(p.path)
	p.cmd.Stderr = &p.stderr
	var err error
	p.in, err = p.cmd.StdinPipe()
	require.NoError(t, err)
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = json.NewDecoder(out)
	p.out.DisallowUnknownFields()
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// ask is the peer's answer, be it a refusal.
func (p *peer) ask(t *testing.T, q request) answer {
	t.Helper()
	var a answer
	err := json.NewEncoder(p.in).Encode(q)
	if err == nil {
		err = p.out.Decode(&a)
	}
	if err != nil {
		p.end(t)
		require.NoError(t, err)
	}
	return a
}

// end is for a peer that has nothing more to do, and had no reason to complain.
func (p *peer) end(t *testing.T) {
	t.Helper()
	require.NoError(t, p.in.Close())
	require.NoError(t, p.cmd.Wait(), "%s", &p.stderr)
}

// goCommand is the output of the go command in a folder, by that module's own go.mod.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "go %s: %s", args[0], &stderr)
	return string(out)
}
