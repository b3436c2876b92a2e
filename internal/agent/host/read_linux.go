package host

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// reader reads small files of the kernel. It goes around os.File, which would register each with the poller, and reads
// into one buffer, so that reading a machine leaves next to nothing for the garbage collector.
type reader struct {
	buf []byte
}

const maxFile = 8 << 20

// file returns a file's text, as a view that is valid until the next file is read.
func (r *reader) file(path string) (string, error) {
	fd, err := open(path)
	if err != nil {
		return "", err
	}
	defer syscall.Close(fd)
	if r.buf == nil {
		r.buf = make([]byte, 32<<10)
	}
	n := 0
	for {
		if n == len(r.buf) {
			if n >= maxFile {
				return "", errors.New(path + " is too large")
			}
			r.buf = append(r.buf, make([]byte, len(r.buf))...)
		}
		got, err := syscall.Read(fd, r.buf[n:])
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return "", &fs.PathError{Op: "read", Path: path, Err: err}
		case got <= 0:
			return unsafe.String(unsafe.SliceData(r.buf), n), nil
		}
		n += got
	}
}

func open(path string) (int, error) {
	for {
		fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return -1, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

// line returns a file's text without the white space around it.
func (r *reader) line(path string) (string, error) {
	text, err := r.file(path)
	return strings.TrimSpace(text), err
}

// number returns the number that a file has, in decimal or after 0x.
func (r *reader) number(path string) (float64, error) {
	text, err := r.line(path)
	if err != nil {
		return 0, err
	}
	return parse(text)
}

// parse reads an integer, in decimal or after 0x, or a number with a point.
func parse(text string) (float64, error) {
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return float64(n), nil
	}
	return strconv.ParseFloat(text, 64)
}

// hexNumber reads an integer without 0x before it.
func hexNumber(text string) float64 {
	n, _ := strconv.ParseUint(text, 16, 64)
	return float64(n)
}

// float is for numbers that the kernel wrote.
func float(text string) float64 {
	v, _ := strconv.ParseFloat(text, 64)
	return v
}

// entries are the names in a folder, sorted.
func entries(path string) []string {
	list, err := os.ReadDir(path)
	if err != nil {
		return nil
	}
	out := make([]string, len(list))
	for i, e := range list {
		out[i] = e.Name()
	}
	return out
}

// dynamic returns the description of a metric whose name comes from the kernel.
func (h *Host) dynamic(t remotewrite.Type, name string, help func(name string) string) *metric.Desc {
	if d := h.descs[name]; d != nil {
		return d
	}
	if len(h.descs) > 5000 { // it cannot be, and if it is, memory stays bounded
		clear(h.descs)
	}
	name = strings.Clone(name)
	d := &metric.Desc{Name: name, Help: help(name), Type: t}
	h.descs[name] = d
	return d
}

// columns are the fields of a line: at most as many as there is room for.
func columns(line string, into []string) []string {
	into = into[:0]
	for field := range strings.FieldsSeq(line) {
		if len(into) == cap(into) {
			break
		}
		into = append(into, field)
	}
	return into
}
