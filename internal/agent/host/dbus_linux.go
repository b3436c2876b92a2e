package host

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// bus speaks as much D-Bus as it takes to ask systemd one question. A connection stays open between questions.
//
// https://dbus.freedesktop.org/doc/dbus-specification.html
type bus struct {
	path   string
	conn   net.Conn
	in     *bufio.Reader
	serial uint32
}

const (
	busTimeout = 5 * time.Second
	maxMessage = 8 << 20 // systemd's answer has some 400 bytes a unit
)

// Message types and header fields.
const (
	busCall, busReturn, busError            = 1, 2, 3
	busPath, busInterface, busMember        = 1, 2, 3
	busReplySerial, busDestination, busSign = 5, 6, 8
)

var errBus = errors.New("d-bus: malformed message")

// unit is one of systemd's units.
type unit struct{ name, load, active string }

func (b *bus) units() ([]unit, error) {
	body, err := b.ask("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "ListUnits")
	if err != nil {
		return nil, err
	}
	return parseUnits(body)
}

// ask calls a method without arguments.
func (b *bus) ask(destination, path, iface, member string) (body []byte, err error) {
	if b.conn == nil {
		if err := b.connect(); err != nil {
			b.close()
			return nil, err
		}
	}
	if body, err = b.call(destination, path, iface, member); err != nil {
		b.close()
	}
	return body, err
}

func (b *bus) close() {
	if b.conn != nil {
		b.conn.Close()
	}
	b.conn, b.in = nil, nil
}

// connect introduces us as the user that we are, which the kernel vouches for.
func (b *bus) connect() (err error) {
	if b.conn, err = net.DialTimeout("unix", b.path, busTimeout); err != nil {
		return err
	}
	b.in = bufio.NewReaderSize(b.conn, 4096)
	b.conn.SetDeadline(time.Now().Add(busTimeout))
	uid := hex.EncodeToString([]byte(strconv.Itoa(os.Getuid())))
	if _, err := io.WriteString(b.conn, "\x00AUTH EXTERNAL "+uid+"\r\n"); err != nil {
		return err
	}
	line, err := b.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "OK ") {
		return fmt.Errorf("d-bus: not let in: %.100q", line)
	}
	if _, err := io.WriteString(b.conn, "BEGIN\r\n"); err != nil {
		return err
	}
	_, err = b.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")
	return err
}

func (b *bus) call(destination, path, iface, member string) ([]byte, error) {
	b.conn.SetDeadline(time.Now().Add(busTimeout))
	b.serial++
	if _, err := b.conn.Write(busMessage(b.serial, destination, path, iface, member)); err != nil {
		return nil, err
	}
	for range 1000 { // signals may come in between
		kind, reply, body, err := readBusMessage(b.in)
		switch {
		case err != nil:
			return nil, err
		case reply != b.serial:
		case kind == busReturn:
			return body, nil
		case kind == busError:
			return nil, fmt.Errorf("d-bus: %s refused", member)
		}
	}
	return nil, errBus
}

// busMessage is a method call without a body.
func busMessage(serial uint32, destination, path, iface, member string) []byte {
	var fields []byte
	for _, f := range []struct {
		code, sign byte
		value      string
	}{{busPath, 'o', path}, {busDestination, 's', destination}, {busInterface, 's', iface}, {busMember, 's', member}} {
		fields = pad(fields, 8)
		fields = append(fields, f.code, 1, f.sign, 0)
		fields = binary.LittleEndian.AppendUint32(fields, uint32(len(f.value)))
		fields = append(append(fields, f.value...), 0)
	}
	m := []byte{'l', busCall, 0, 1}
	m = binary.LittleEndian.AppendUint32(m, 0)
	m = binary.LittleEndian.AppendUint32(m, serial)
	m = binary.LittleEndian.AppendUint32(m, uint32(len(fields)))
	return pad(append(m, fields...), 8)
}

func pad(b []byte, to int) []byte {
	for len(b)%to != 0 {
		b = append(b, 0)
	}
	return b
}

// readBusMessage reads one message and tells which call it answers.
func readBusMessage(in io.Reader) (kind byte, reply uint32, body []byte, err error) {
	var head [16]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, 0, nil, err
	}
	if head[0] != 'l' { // each side writes in its own byte order; this is the same machine
		return 0, 0, nil, errBus
	}
	bodySize, fieldSize := binary.LittleEndian.Uint32(head[4:]), binary.LittleEndian.Uint32(head[12:])
	if bodySize > maxMessage || fieldSize > 64<<10 {
		return 0, 0, nil, errBus
	}
	fields := make([]byte, (fieldSize+7)/8*8)
	if _, err := io.ReadFull(in, fields); err != nil {
		return 0, 0, nil, err
	}
	body, err = io.ReadAll(io.LimitReader(in, int64(bodySize)))
	if err == nil && len(body) < int(bodySize) {
		err = io.ErrUnexpectedEOF
	}
	return head[1], replySerial(fields[:fieldSize]), body, err
}

// replySerial finds the field that tells which call is answered.
func replySerial(b []byte) uint32 {
	r := busReader{b: b}
	for len(r.b) > r.at && !r.failed {
		r.align(8)
		code := r.byte()
		switch sign := r.signature(); sign {
		case "u":
			if v := r.uint32(); code == busReplySerial {
				return v
			}
		case "s", "o":
			r.string()
		case "g":
			r.signature()
		default:
			return 0
		}
	}
	return 0
}

// parseUnits reads the answer of ListUnits: a(ssssssouso).
func parseUnits(body []byte) ([]unit, error) {
	r := busReader{b: body}
	size := int(r.uint32())
	r.align(8)
	if r.failed || size > len(body)-r.at {
		return nil, errBus
	}
	end := r.at + size
	var out []unit
	for r.at < end && !r.failed {
		r.align(8)
		u := unit{name: r.string()}
		r.string() // what it is for
		u.load, u.active = r.string(), r.string()
		for range 3 { // sub-state, followed unit, path
			r.string()
		}
		r.uint32()
		r.string()
		r.string()
		out = append(out, u)
	}
	if r.failed {
		return nil, errBus
	}
	return out, nil
}

// busReader reads values. After the first that is not there it returns nothing more.
type busReader struct {
	b      []byte
	at     int
	failed bool
}

func (r *busReader) take(n int) []byte {
	if r.failed || n < 0 || n > len(r.b)-r.at {
		r.failed = true
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

func (r *busReader) align(to int) { r.take((to - r.at%to) % to) }

func (r *busReader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *busReader) uint32() uint32 {
	r.align(4)
	if b := r.take(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (r *busReader) string() string {
	n := r.uint32()
	if n > maxMessage {
		r.failed = true
		return ""
	}
	s := string(r.take(int(n)))
	r.take(1)
	return s
}

func (r *busReader) signature() string {
	s := string(r.take(int(r.byte())))
	r.take(1)
	return s
}
