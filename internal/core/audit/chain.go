package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
)

// line is one stored row of the log.
//
// # The hashes
//
// All are SHA-256. A text or byte string is written as its length in 8 bytes, big-endian, and then its bytes; a number
// as 8 bytes, big-endian. So no two different lines have one encoding.
//
//	genesis       = H("kept audit chain v1", chain)
//	personal_hash = H("kept audit person v1", salt, actor_label, detail, ip)
//	hash          = H("kept audit line v1", prev_hash, chain, seq, at, actor_kind, actor_id, action, target, result,
//	                  personal_hash)
//
// seq counts from 1 without gaps, at is in microseconds since 1970 UTC, salt is 32 random bytes. prev_hash is the hash of
// the line before, or the genesis hash. When lines are removed because of their age, base_seq and base_hash of the
// chain's row remember the last one that went, and the chain continues from there.
type line struct {
	chain                              string
	seq, at                            int64
	actorKind, actorID, actorLabel     string
	action, target, detail, ip, result string
	salt, personal, prev, hash         []byte
}

const (
	genesisDomain = "kept audit chain v1"
	personDomain  = "kept audit person v1"
	lineDomain    = "kept audit line v1"
)

// seal computes the hashes of a line whose number and predecessor are known.
func (l *line) seal() {
	l.personal = l.personalHash()
	l.hash = l.lineHash()
}

func (l *line) personalHash() []byte {
	h := newHasher(personDomain)
	h.bytes(l.salt)
	h.text(l.actorLabel, l.detail, l.ip)
	return h.sum()
}

func (l *line) lineHash() []byte {
	h := newHasher(lineDomain)
	h.bytes(l.prev)
	h.text(l.chain)
	h.number(l.seq)
	h.number(l.at)
	h.text(l.actorKind, l.actorID, l.action, l.target, l.result)
	h.bytes(l.personal)
	return h.sum()
}

// forgotten tells whether the personal part was erased, so that only its commitment is left.
func (l *line) forgotten() bool { return len(l.salt) == 0 }

func genesis(chain string) []byte {
	h := newHasher(genesisDomain)
	h.text(chain)
	return h.sum()
}

// hasher writes the canonical encoding.
type hasher struct{ h hash.Hash }

func newHasher(domain string) hasher {
	h := hasher{sha256.New()}
	h.text(domain)
	return h
}

func (h hasher) bytes(b []byte) {
	h.number(int64(len(b)))
	h.h.Write(b)
}

func (h hasher) text(parts ...string) {
	for _, s := range parts {
		h.bytes([]byte(s))
	}
}

func (h hasher) number(n int64) {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(n))
	h.h.Write(b[:])
}

func (h hasher) sum() []byte { return h.h.Sum(nil) }
