package external

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// leash is the program between us and a server. It ends the server when its
// own standard input does, which happens however we end: return, panic,
// time-out or kill -9. A test binary has no exit hook that could do as much. It
// asks the server again and again, because one that is still being set up may
// not listen yet.
const leash = `
dir=$1 signal=$2
shift 2
exec 3<&0
"$@" </dev/null 3<&- &
server=$!
{ cat <&3 >/dev/null; while kill -s "$signal" "$server"; do sleep 0.1; done; } 2>/dev/null &
wait "$server"
code=$?
kill $! 2>/dev/null
rm -rf "$dir"
exit $code
`

// Process is a running server that cannot outlive this process.
type Process struct {
	log   *os.File  // held open, because its name goes when the server does
	tie   io.Closer // the writing end of the leash's standard input
	ended chan struct{}
}

// Start runs a server with a private directory that is removed when the server
// ends. Signal, a name such as TERM, is what asks the server to stop at once.
// Cred may be nil. Output goes to a log in the directory, never to our own
// standard output, because go test waits for whoever holds that.
func Start(dir, signal string, cred *syscall.Credential, program string, args ...string) (*Process, error) {
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", program, err)
	}
	sh := append([]string{"-c", leash, "leash", dir, signal, program}, args...)
	cmd := exec.Command("/bin/sh", sh...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	// A session of its own keeps Ctrl-C from ending the leash before its duty.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: cred}
	tie, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", program, errors.Join(err, log.Close()))
	}
	p := &Process{log: log, tie: tie, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = cmd.Wait() // how a server ended that we ended is of no interest
	}()
	return p, nil
}

// Stop ends the server, waits for that and leaves nothing behind. It may be
// called again.
func (p *Process) Stop() {
	_ = p.tie.Close()
	<-p.ended
}

// Ended is closed when the server is gone.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Log returns the beginning of what the server has said, for an error message.
func (p *Process) Log() string {
	const most = 64 << 10
	text, err := io.ReadAll(io.NewSectionReader(p.log, 0, most))
	if err != nil {
		return "(no log: " + err.Error() + ")"
	}
	return strings.TrimSpace(string(text))
}

// FreePort returns a TCP port of 127.0.0.1 that was free a moment ago. Someone
// else may take it meanwhile: check who answers, and try again.
func FreePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
