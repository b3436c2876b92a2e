package dashboard

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kept-dev/kept/internal/kernel"
)

// MaxSize is how large a dashboard may be, in bytes of JSON.
const MaxSize = 1 << 20

// Decode reads a dashboard strictly: unknown fields, wrong types and values that make no sense are errors. The error is
// Invalid and its text names the line.
func Decode(data []byte) (*Dashboard, error) {
	if len(data) > MaxSize {
		return nil, kernel.Errorf(kernel.Invalid, "The dashboard is too large: at most %d KiB are accepted.", MaxSize>>10)
	}
	if !utf8.Valid(data) {
		return nil, kernel.Errorf(kernel.Invalid, "The text is not UTF-8.")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	d := &Dashboard{}
	if err := dec.Decode(d); err != nil {
		return nil, decodeError(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, kernel.Errorf(kernel.Invalid, "Line %d: there is something behind the dashboard.", lineAt(data, dec.InputOffset()))
	}
	if faults := d.check(); len(faults) > 0 {
		return nil, faultsError(data, faults)
	}
	return d, nil
}

// Encode writes a dashboard the way it is stored and exported: indented, in a fixed order.
func (d *Dashboard) Encode() []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		panic("dashboard: a dashboard is plain data: " + err.Error()) // NaN cannot be decoded, so it is never here
	}
	return b.Bytes()
}

// clone is a deep copy, to be changed.
func (d *Dashboard) clone() *Dashboard {
	out := &Dashboard{}
	if err := json.Unmarshal(d.Encode(), out); err != nil {
		panic("dashboard: " + err.Error())
	}
	return out
}

func decodeError(data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return kernel.Errorf(kernel.Invalid, "Line %d: %s.", lineAt(data, syntax.Offset), syntax.Error())
	case errors.As(err, &kind):
		return kernel.Errorf(kernel.Invalid, "Line %d: %s must be a %s, not a %s.", lineAt(data, kind.Offset), kind.Field, kindName(kind.Type.String()), kind.Value)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return kernel.Errorf(kernel.Invalid, "Line %d: the JSON ends too early.", lineAt(data, int64(len(data))))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		at := bytes.Index(data, []byte(name))
		return kernel.Errorf(kernel.Invalid, "Line %d: there is no field %s.", lineAt(data, int64(max(0, at))), clip(name, 80))
	}
	return kernel.Wrap(err, kernel.Invalid, "The JSON could not be read.")
}

// kindName is what people call a Go type.
func kindName(t string) string {
	switch {
	case strings.HasPrefix(t, "[]"):
		return "list"
	case strings.Contains(t, "int"), strings.Contains(t, "float"):
		return "number"
	case t == "bool":
		return "true or false"
	case t == "string":
		return "text"
	}
	return "object"
}

func lineAt(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + bytes.Count(data[:offset], []byte{'\n'})
}

func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n]) + "…"
}

// fault is something wrong in a dashboard that could be read.
type fault struct {
	path string // "rows[0].panels[2].targets[0].expr"
	text string
}

// maxFaults is how many are listed at once.
const maxFaults = 20

func faultsError(data []byte, faults []fault) error {
	e := &kernel.Error{Code: kernel.Invalid, Fields: map[string]string{}}
	var lines []string
	for _, f := range faults[:min(len(faults), maxFaults)] {
		line := fmt.Sprintf("%s: %s", f.path, f.text)
		if at, ok := offsetOf(data, f.path); ok {
			line = fmt.Sprintf("Line %d: %s", lineAt(data, at), line)
		}
		lines = append(lines, line)
		e.Fields[f.path] = f.text
	}
	if n := len(faults) - maxFaults; n > 0 {
		lines = append(lines, fmt.Sprintf("And %d more.", n))
	}
	e.Safe = strings.Join(lines, "\n")
	return e
}

// sortFaults puts faults in the order of the text, as far as paths tell.
func sortFaults(list []fault) {
	slices.SortFunc(list, func(a, b fault) int { return natural(a.path, b.path) })
}

// offsetOf finds where the value at a path begins in JSON text. The longest part of the path that is there counts, so
// that a field that is missing points at the object that lacks it.
func offsetOf(data []byte, path string) (at int64, ok bool) {
	w := pathWalk{dec: json.NewDecoder(bytes.NewReader(data)), want: path}
	w.value("")
	return w.best, w.found
}

type pathWalk struct {
	dec   *json.Decoder
	want  string
	best  int64
	size  int
	found bool
}

// value reads one value and everything in it.
func (w *pathWalk) value(path string) bool {
	tok, err := w.dec.Token()
	if err != nil {
		return false
	}
	if strings.HasPrefix(w.want, path) && len(path) >= w.size && (len(path) == len(w.want) || path == "" || strings.ContainsRune(".[", rune(w.want[len(path)]))) {
		w.best, w.size, w.found = w.dec.InputOffset(), len(path), true
	}
	delim, _ := tok.(json.Delim)
	for i := 0; (delim == '{' || delim == '[') && w.dec.More(); i++ {
		next := fmt.Sprintf("%s[%d]", path, i)
		if delim == '{' {
			key, err := w.dec.Token()
			name, isText := key.(string)
			if err != nil || !isText {
				return false
			}
			if next = name; path != "" {
				next = path + "." + name
			}
		}
		if !w.value(next) {
			return false
		}
	}
	if delim != 0 {
		_, err = w.dec.Token()
	}
	return err == nil
}
