package redact

import (
	"bytes"

	"github.com/kept-dev/kept/wire/jsonscan"
)

// Replacements as JSON.
const (
	redacted = `"` + Placeholder + `"`
	tooDeep  = `"` + TooDeep + `"`
	notKept  = `"[NOT KEPT]"`
)

// rewriter copies src to out piece by piece: copied is how far it has come.
type rewriter struct {
	rules   *Rules
	src     []byte
	out     []byte
	copied  int
	taken   int
	event   bool   // look for payload members
	scratch []byte // a string's text
}

func (r *Rules) rewrite(dst, raw []byte, shape, event bool) (out []byte, taken int) {
	w := rewriter{rules: r, src: raw, out: dst, event: event}
	depth := r.Depth
	if depth == 0 {
		depth = maxDepth
	}
	if i := jsonscan.Space(raw, 0); i < len(raw) {
		w.value(i, depth, shape)
	}
	w.copyTo(len(raw))
	return w.out, w.taken
}

func (w *rewriter) copyTo(i int) {
	w.out = append(w.out, w.src[w.copied:i]...)
	w.copied = i
}

// replace puts text where src[from:to] was.
func (w *rewriter) replace(from, to int, text string) {
	w.copyTo(from)
	w.out = append(w.out, text...)
	w.copied = to
	w.taken++
}

// value handles the value at i and returns the index behind it. The text is valid, so errors cannot come; should they,
// the rest is dropped rather than let through.
func (w *rewriter) value(i, depth int, shape bool) int {
	switch c := w.src[i]; {
	case (c == '{' || c == '[') && depth == 0:
		return w.drop(i, tooDeep)
	case c == '{':
		return w.must(jsonscan.Object(w.src, i, func(key []byte, escaped bool, at int) (int, error) {
			return w.member(key, escaped, at, depth-1, shape), nil
		}))
	case c == '[':
		return w.must(jsonscan.Array(w.src, i, func(at int) (int, error) {
			return w.value(at, depth-1, shape), nil
		}))
	}
	end := w.must(jsonscan.Value(w.src, i, 1))
	switch raw := w.src[i:end]; {
	case shape:
		if word := shapeOf(raw); word != "" {
			w.replace(i, end, word)
		}
	case w.src[i] == '"':
		w.text(i, end)
	case len(raw) >= minCard && !w.rules.NoPatterns && isCard(raw):
		w.replace(i, end, redacted)
	}
	return end
}

func (w *rewriter) must(end int, err error) int {
	if err != nil {
		w.copied = len(w.src)
		return len(w.src)
	}
	return end
}

// drop puts text in the place of the value at i.
func (w *rewriter) drop(i int, text string) int {
	end := w.must(jsonscan.Value(w.src, i, skipDepth))
	if w.copied <= i {
		w.replace(i, end, text)
	}
	return end
}

func (w *rewriter) member(key []byte, escaped bool, at, depth int, shape bool) int {
	if len(key) >= minSecret {
		end := at - 1
		for w.src[end] != '"' { // between a key and its value are a colon and white space
			end--
		}
		w.text(end-len(key)-1, end+1)
	}
	if escaped {
		key = jsonscan.Unescape(nil, key)
	}
	if w.rules.IsSecretKey(key) {
		return w.drop(at, redacted)
	}
	if !w.event || !isPayloadKey(key) {
		return w.value(at, depth, shape)
	}
	if w.rules.Policy == None {
		return w.drop(at, notKept)
	}
	return w.value(at, depth, true)
}

// text handles the string src[i:end].
func (w *rewriter) text(i, end int) {
	inside := w.src[i+1 : end-1]
	if len(inside) < minSecret {
		return
	}
	if bytes.IndexByte(inside, '\\') < 0 {
		for _, s := range w.rules.find(inside) {
			w.replace(i+1+s.from, i+1+s.to, Placeholder)
		}
		return
	}
	w.scratch = jsonscan.Unescape(w.scratch[:0], inside)
	if spans := w.rules.find(w.scratch); len(spans) > 0 {
		w.replace(i, end, `"`)
		w.out = append(appendInside(w.out, without(nil, w.scratch, spans)), '"')
	}
}

// appendInside appends a text as the inside of a JSON string.
func appendInside(dst, text []byte) []byte {
	const short, letters = "\"\\\n\r\t\b\f", `"\nrtbf`
	for _, c := range text {
		switch i := bytes.IndexByte([]byte(short), c); {
		case i >= 0:
			dst = append(dst, '\\', letters[i])
		case c < 0x20:
			dst = append(dst, '\\', 'u', '0', '0', '0'+c>>4, "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// shapeOf is the word for a scalar's type; empty for what tells nothing more than that already.
func shapeOf(raw []byte) string {
	switch raw[0] {
	case '"':
		switch string(raw) {
		case `"string"`, `"number"`, `"boolean"`, redacted, tooDeep:
			return ""
		}
		return `"string"`
	case 't', 'f':
		return `"boolean"`
	case 'n':
		return ""
	}
	return `"number"`
}
