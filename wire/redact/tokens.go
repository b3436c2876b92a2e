package redact

import (
	"bytes"
	"slices"
)

// minToken is the length of the shortest token that is known by its first letters.
const minToken = 15

// token is a kind of key that can be told by how it begins.
type token struct {
	prefix string
	least  int // letters and digits (or whatever of accepts) behind the prefix
	of     func(byte) bool
}

// known are the keys of services that are often found in payloads, and our own.
var known = []token{
	{"sk_live_", 8, isAlnum}, {"sk_test_", 8, isAlnum}, {"rk_live_", 8, isAlnum}, {"rk_test_", 8, isAlnum}, // Stripe
	{"pk_live_", 8, isAlnum}, {"pk_test_", 8, isAlnum}, {"whsec_", 12, isWordy},
	{"ghp_", 16, isAlnum}, {"gho_", 16, isAlnum}, {"ghu_", 16, isAlnum}, {"ghs_", 16, isAlnum}, {"ghr_", 16, isAlnum},
	{"github_pat_", 16, isWordy}, {"glpat-", 16, isWordy},
	{"xoxa-", 10, isWordy}, {"xoxb-", 10, isWordy}, {"xoxe-", 10, isWordy}, {"xoxp-", 10, isWordy}, {"xoxr-", 10, isWordy}, {"xoxs-", 10, isWordy},
	{"AKIA", 16, isCapital}, {"ASIA", 16, isCapital}, // AWS
	{"AIza", 30, isWordy}, // Google
	{"sk-", 20, isWordy},  // OpenAI, Anthropic
	{"kept_", 20, isAlnum}, {"keptp_", 20, isAlnum}, {"kepta_", 20, isAlnum}, {"keptr_", 20, isAlnum},
}

// begins has the first letters of the known tokens.
var begins = func() (t [256]bool) {
	for _, k := range known {
		t[k.prefix[0]] = true
	}
	return t
}()

func isWordy(c byte) bool   { return class[c]&wordy != 0 }
func isAlnum(c byte) bool   { return class[c]&wordy != 0 && c != '_' && c != '-' }
func isCapital(c byte) bool { return isUpper(c) || class[c]&digit != 0 }

// tokens finds a known token in the word s[from:to], at its beginning or behind one of its dashes.
func tokens(out []span, s []byte, from, to int) []span {
	for i := from; to-i >= minToken; {
		if begins[s[i]] && isToken(s[i:to]) {
			return append(out, span{i, to})
		}
		dash := bytes.IndexByte(s[i:to], '-')
		if dash < 0 {
			break
		}
		i += dash + 1
	}
	return out
}

func isToken(word []byte) bool {
	for _, k := range known {
		if len(word) < len(k.prefix)+k.least || string(word[:len(k.prefix)]) != k.prefix {
			continue
		}
		if !slices.ContainsFunc(word[len(k.prefix):len(k.prefix)+k.least], func(c byte) bool { return !k.of(c) }) {
			return true
		}
	}
	return false
}
