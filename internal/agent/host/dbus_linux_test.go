package host

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kept-dev/kept/internal/agent/metric"
)

// unitsBody is the answer of ListUnits.
func unitsBody(units ...[3]string) []byte {
	var b []byte
	text := func(s string) {
		b = pad(b, 4)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
		b = append(append(b, s...), 0)
	}
	b = append(b, 0, 0, 0, 0)
	b = pad(b, 8)
	start := len(b)
	for _, u := range units {
		b = pad(b, 8)
		for _, s := range []string{u[0], "What it is", u[1], u[2], "sub", "", "/org/freedesktop/systemd1/unit/x"} {
			text(s)
		}
		b = pad(b, 4)
		b = binary.LittleEndian.AppendUint32(b, 0)
		text("")
		text("/")
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)-start))
	return b
}

// busAnswer is a message that answers a call.
func busAnswer(kind byte, reply uint32, body []byte) []byte {
	fields := []byte{busSign, 1, 'g', 0, 3, 'a', 's', 's', 0}
	fields = pad(fields, 8)
	fields = append(fields, busReplySerial, 1, 'u', 0)
	fields = binary.LittleEndian.AppendUint32(fields, reply)
	m := []byte{'l', kind, 0, 1}
	m = binary.LittleEndian.AppendUint32(m, uint32(len(body)))
	m = binary.LittleEndian.AppendUint32(m, 99)
	m = binary.LittleEndian.AppendUint32(m, uint32(len(fields)))
	return append(pad(append(m, fields...), 8), body...)
}

// serveBus is a system bus with a systemd behind it. It says what was asked.
func serveBus(t *testing.T, path string, body []byte, asked chan<- string) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				line, _ := in.ReadString('\n')
				asked <- strings.TrimSpace(line)
				io.WriteString(conn, "OK 0123456789abcdef\r\n")
				in.ReadString('\n') // BEGIN
				for serial := uint32(1); ; serial++ {
					var head [16]byte
					if _, err := io.ReadFull(in, head[:]); err != nil {
						return
					}
					fields := make([]byte, (binary.LittleEndian.Uint32(head[12:])+7)/8*8)
					if _, err := io.ReadFull(in, fields); err != nil {
						return
					}
					asked <- string(fields)
					conn.Write(busAnswer(4, 0, nil)) // a signal comes in between
					if serial == 1 {
						conn.Write(busAnswer(busReturn, serial, []byte{1, 0, 0, 0, 'a', 0}))
					} else {
						conn.Write(busAnswer(busReturn, serial, body))
					}
				}
			}()
		}
	}()
}

// TestUnits asks over the protocol of a system bus, twice over one connection.
func TestUnits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "run/dbus"), 0o700); err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 100)
	serveBus(t, filepath.Join(dir, "run/dbus/system_bus_socket"), unitsBody(
		[3]string{"nginx.service", "loaded", "active"}, [3]string{"backup.service", "loaded", "failed"}, [3]string{"once.service", "loaded", "inactive"},
		[3]string{"gone.service", "not-found", "inactive"}, [3]string{"boot.mount", "loaded", "active"}, [3]string{"data.mount", "loaded", "failed"},
		[3]string{"backup.timer", "loaded", "active"},
	), asked)
	h := New(Options{Root: dir, Only: []string{"systemd"}})
	defer h.Close()
	for range 2 {
		got := text(t, func(s *metric.Set) { h.CollectSlow(s) })
		want := `node_systemd_unit_state{name="backup.service",state="active"} 0
node_systemd_unit_state{name="backup.service",state="failed"} 1
node_systemd_unit_state{name="backup.timer",state="active"} 1
node_systemd_unit_state{name="backup.timer",state="failed"} 0
node_systemd_unit_state{name="data.mount",state="active"} 0
node_systemd_unit_state{name="data.mount",state="failed"} 1
node_systemd_unit_state{name="nginx.service",state="active"} 1
node_systemd_unit_state{name="nginx.service",state="failed"} 0
node_systemd_units{state="activating"} 0
node_systemd_units{state="active"} 3
node_systemd_units{state="deactivating"} 0
node_systemd_units{state="failed"} 2
node_systemd_units{state="inactive"} 1
`
		for line := range strings.Lines(want) {
			if !strings.Contains(got, line) {
				t.Errorf("no %s in\n%s", line, got)
			}
		}
		if strings.Contains(got, "once.service") || strings.Contains(got, "boot.mount") {
			t.Errorf("too much:\n%s", got)
		}
	}
	if n := len(asked); n != 4 { // who we are, hello, and two questions
		t.Errorf("%d messages were sent", n)
	}
	if first := <-asked; !strings.Contains(first, "AUTH EXTERNAL ") {
		t.Errorf("the first line is %q", first)
	}
}

func FuzzUnits(f *testing.F) {
	f.Add(unitsBody([3]string{"a.service", "loaded", "active"}))
	f.Add([]byte{255, 255, 255, 255, 0, 0, 0, 0})
	f.Fuzz(func(_ *testing.T, b []byte) {
		parseUnits(b)
		replySerial(b)
	})
}
