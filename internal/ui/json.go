package ui

import (
	"bytes"
	"encoding/json"
	"html"
	"html/template"
	"strconv"
	"strings"
)

// Limits of the JSON viewer. What lies beyond them is said, never silently
// left out, and the copy button still has the whole text.
const (
	jsonMaxNodes  = 2000      // values drawn
	jsonMaxDepth  = 60        // levels drawn as a tree; deeper ones as text
	jsonMaxString = 16 << 10  // bytes drawn of one string
	jsonFoldAt    = 240       // bytes of a string before it is folded
	jsonMaxCopy   = 256 << 10 // bytes that the copy button carries
	jsonMaxText   = 64 << 10  // bytes drawn of something that is not JSON
)

// JSON draws a JSON text as a tree that folds without scripts. Numbers are
// shown exactly as they were written: they never pass through a float. What
// is not valid JSON is shown as text with a note.
func JSON(v any) template.HTML {
	raw := jsonBytes(v)
	if len(bytes.TrimSpace(raw)) == 0 {
		return `<p class="none">Empty</p>`
	}
	var b strings.Builder
	b.WriteString(`<div class="json">`)
	if root, ok := parseJSON(raw); ok {
		b.WriteString(`<div class="json-tree">`)
		writeJSON(&b, root, 0)
		b.WriteString(`</div>`)
	} else {
		b.WriteString(`<div class="json-text"><p class="hint">Not valid JSON; shown as text.</p><pre tabindex="0">`)
		b.WriteString(html.EscapeString(visible(clip(string(raw), jsonMaxText))) + `</pre></div>`)
	}
	if len(raw) <= jsonMaxCopy {
		b.WriteString(copyButton("Copy", string(raw)))
	}
	b.WriteString(`</div>`)
	return template.HTML(b.String())
}

func jsonBytes(v any) []byte {
	switch x := v.(type) {
	case nil:
		return nil
	case []byte:
		return x
	case json.RawMessage:
		return x
	case string:
		return []byte(x)
	}
	return []byte(textOf(v))
}

type jsonNode struct {
	key   string
	keyed bool
	kind  byte // '{' '[' 's' 'n' 'w' (true, false, null) or 't' (too deep: text)
	text  string
	size  int // of a string, in bytes; of a container, its children
	kids  []*jsonNode
}

type jsonParser struct {
	raw   []byte
	dec   *json.Decoder
	nodes int
}

// parseJSON reads the text token by token, which keeps duplicate keys, their
// order and the spelling of numbers.
func parseJSON(raw []byte) (*jsonNode, bool) {
	if !json.Valid(raw) {
		return nil, false
	}
	p := &jsonParser{raw: raw, dec: json.NewDecoder(bytes.NewReader(raw))}
	p.dec.UseNumber()
	n, err := p.value(0)
	return n, err == nil
}

func (p *jsonParser) value(depth int) (*jsonNode, error) {
	start := p.dec.InputOffset()
	tok, err := p.dec.Token()
	if err != nil {
		return nil, err
	}
	p.nodes++
	switch x := tok.(type) {
	case json.Delim:
		n := &jsonNode{kind: byte(x)}
		if depth >= jsonMaxDepth {
			return p.asText(start)
		}
		return n, p.children(n, depth)
	case string:
		return &jsonNode{kind: 's', text: x, size: len(x)}, nil
	case json.Number:
		return &jsonNode{kind: 'n', text: x.String()}, nil
	case bool:
		return &jsonNode{kind: 'w', text: strconv.FormatBool(x)}, nil
	}
	return &jsonNode{kind: 'w', text: "null"}, nil
}

// children reads up to the closing token. Beyond the limit children are read
// and counted but not kept.
func (p *jsonParser) children(n *jsonNode, depth int) error {
	for p.dec.More() {
		key := ""
		if n.kind == '{' {
			tok, err := p.dec.Token()
			if err != nil {
				return err
			}
			key, _ = tok.(string)
		}
		n.size++
		if p.nodes >= jsonMaxNodes {
			if err := p.skip(); err != nil {
				return err
			}
			continue
		}
		kid, err := p.value(depth + 1)
		if err != nil {
			return err
		}
		kid.key, kid.keyed = key, n.kind == '{'
		n.kids = append(n.kids, kid)
	}
	_, err := p.dec.Token()
	return err
}

// skip passes over one value, however deep, without recursion.
func (p *jsonParser) skip() error {
	tok, err := p.dec.Token()
	if err != nil {
		return err
	}
	if _, ok := tok.(json.Delim); ok {
		return p.skipOpen()
	}
	return nil
}

// skipOpen passes over the rest of a container whose opening was read.
func (p *jsonParser) skipOpen() error {
	for open := 1; open > 0; {
		tok, err := p.dec.Token()
		if err != nil {
			return err
		}
		switch tok {
		case json.Delim('{'), json.Delim('['):
			open++
		case json.Delim('}'), json.Delim(']'):
			open--
		}
	}
	return nil
}

func (p *jsonParser) asText(start int64) (*jsonNode, error) {
	if err := p.skipOpen(); err != nil {
		return nil, err
	}
	text := bytes.TrimLeft(p.raw[start:p.dec.InputOffset()], " \t\r\n,:")
	return &jsonNode{kind: 't', text: string(text), size: len(text)}, nil
}

func writeJSON(b *strings.Builder, n *jsonNode, depth int) {
	if n.kind != '{' && n.kind != '[' {
		b.WriteString(`<div class="j-row">`)
		writeKey(b, n)
		writeLeaf(b, n)
		b.WriteString(`</div>`)
		return
	}
	if n.size == 0 {
		b.WriteString(`<div class="j-row">`)
		writeKey(b, n)
		b.WriteString(`<span class="j-meta">` + map[byte]string{'{': "{ }", '[': "[ ]"}[n.kind] + `</span></div>`)
		return
	}
	open := ""
	if depth < 3 && n.size <= 60 {
		open = " open"
	}
	b.WriteString(`<details` + open + `><summary>`)
	writeKey(b, n)
	b.WriteString(`<span class="j-meta">` + containerLabel(n) + `</span></summary><div class="j-kids">`)
	for _, kid := range n.kids {
		writeJSON(b, kid, depth+1)
	}
	if left := n.size - len(n.kids); left > 0 {
		b.WriteString(`<div class="j-row j-meta">… ` + group(strconv.Itoa(left)) + ` more not shown</div>`)
	}
	b.WriteString(`</div></details>`)
}

func containerLabel(n *jsonNode) string {
	count := group(strconv.Itoa(n.size))
	if n.kind == '[' {
		if n.size == 1 {
			return "[1 item]"
		}
		return "[" + count + " items]"
	}
	if n.size == 1 {
		return "{1 key}"
	}
	return "{" + count + " keys}"
}

func writeKey(b *strings.Builder, n *jsonNode) {
	if n.keyed {
		b.WriteString(`<span class="j-key">` + html.EscapeString(visible(clip(n.key, 200))) + `</span>`)
	}
}

func writeLeaf(b *strings.Builder, n *jsonNode) {
	class := map[byte]string{'s': "j-str", 'n': "j-num", 'w': "j-word", 't': "j-meta"}[n.kind]
	text := n.text
	if n.kind == 's' {
		text = `"` + text + `"`
	}
	if len(text) <= jsonFoldAt {
		b.WriteString(`<span class="` + class + `">` + html.EscapeString(visible(text)) + `</span>`)
		return
	}
	size, _ := Bytes(n.size)
	b.WriteString(`<details class="j-long"><summary><span class="` + class + `">` + html.EscapeString(visible(clip(text, jsonFoldAt/2))) +
		`</span> <span class="j-meta">` + size + `</span></summary><pre tabindex="0" class="` + class + `">` +
		html.EscapeString(visible(clip(text, jsonMaxString))) + `</pre>`)
	if len(text) > jsonMaxString {
		b.WriteString(`<p class="hint">The first 16 KiB are shown.</p>`)
	}
	b.WriteString(`</details>`)
}
