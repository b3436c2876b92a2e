// Package breached knows, without asking anybody, the passwords that leaked from other places and the words that such
// passwords are made of. It holds the first bytes of hashes, not the passwords: see SOURCES.md for where they come from.
package breached

import (
	"crypto/sha256"
	_ "embed"
	"sort"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// width is how many bytes of each hash are kept. That some other password has the same five happens once in ten million,
// and costs its owner a second thought.
const width = 5

//go:embed breached.bin
var embedded string

// Known is the set that is built in.
func Known() Set { return Set(embedded) }

// Set is sorted prefixes of hashes, one after the other, as tools/breached makes it.
type Set string

// Len is how many words are in the set.
func (s Set) Len() int { return len(s) / width }

// Has tells whether a word is in the set, however it is capitalised and composed.
func (s Set) Has(word string) bool {
	sum := sha256.Sum256([]byte(fold(word)))
	p := string(sum[:width])
	i := sort.Search(s.Len(), func(i int) bool { return s.at(i) >= p })
	return i < s.Len() && s.at(i) == p
}

func (s Set) at(i int) string { return string(s[i*width : (i+1)*width]) }

// fold is the form in which words are compared.
func fold(word string) string { return strings.ToLower(norm.NFKC.String(word)) }
