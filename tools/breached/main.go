// Command breached makes the set of passwords that nobody may choose out of lists of passwords that leaked, and of words
// that such passwords are made of. The lists stay outside: only the first bytes of hashes are committed.
//
//	go run ./tools/breached LIST…
//
// A list is a text with a password per line (or several, with white space between), a JSON array of strings, or the
// frequency_lists.js of npm's zxcvbn, of which LIST:name,name picks lists. Any of them may be compressed (.gz).
package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

func main() {
	out := flag.String("out", "internal/core/identity/breached/breached.bin", "file to write")
	flag.Parse()
	if err := run(*out, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "breached:", err)
		os.Exit(1)
	}
}

func run(out string, lists []string, log io.Writer) error {
	if len(lists) == 0 {
		return fmt.Errorf("name at least one list")
	}
	var all []string
	for _, list := range lists {
		words, err := read(list)
		if err != nil {
			return fmt.Errorf("%s: %w", list, err)
		}
		fmt.Fprintf(log, "%8d  %s\n", len(words), filepath.Base(list))
		all = append(all, words...)
	}
	set := makeSet(all)
	fmt.Fprintf(log, "%8d  different, %d bytes\n", len(set)/width, len(set))
	return os.WriteFile(out, []byte(set), 0o644)
}

// width is how many bytes of each hash are kept; package breached, which reads the set, says why.
const width = 5

// makeSet is the sorted prefixes of the hashes of words, one after the other. Words shorter than three characters are
// left out: nothing is said by them.
func makeSet(words []string) string {
	prefixes := make([]string, 0, len(words))
	for _, w := range words {
		w = strings.ToLower(norm.NFKC.String(w))
		if utf8.RuneCountInString(w) >= 3 {
			sum := sha256.Sum256([]byte(w))
			prefixes = append(prefixes, string(sum[:width]))
		}
	}
	slices.Sort(prefixes)
	return strings.Join(slices.Compact(prefixes), "")
}

// read reads a list; of "file.js:a,b" the lists a and b.
func read(list string) ([]string, error) {
	name, pick, _ := strings.Cut(list, ".js:")
	if name != list {
		name += ".js"
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if b, err = io.ReadAll(z); err != nil {
			return nil, err
		}
		name = strings.TrimSuffix(name, ".gz")
	}
	switch filepath.Ext(name) {
	case ".json":
		var words []string
		return words, json.Unmarshal(b, &words)
	case ".js":
		return readScript(string(b), strings.Split(pick, ","))
	}
	return strings.Fields(string(b)), nil
}

var scriptList = regexp.MustCompile(`(\w+): "([^"]*)"\.split\(","\)`)

func readScript(text string, pick []string) (words []string, err error) {
	for _, found := range scriptList.FindAllStringSubmatch(text, -1) {
		if slices.Contains(pick, found[1]) {
			words = append(words, strings.Split(found[2], ",")...)
		}
	}
	if words == nil {
		err = fmt.Errorf("none of the lists %q is in it", pick)
	}
	return words, err
}
