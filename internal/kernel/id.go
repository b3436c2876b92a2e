package kernel

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// ID names a stored thing: 26 lower-case characters, of which the first ten are the creation time in milliseconds,
// so that IDs sort by age. The layout is that of a ULID (https://github.com/ulid/spec), written in lower case.
type ID string

// WorkspaceID names a workspace, the unit of isolation, billing, sealing and erasure.
type WorkspaceID = ID

// AccountID names a person's account.
type AccountID = ID

var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an ID for something created at the given time; 80 bits of it are random.
func NewID(at time.Time) ID {
	var b [20]byte // 16 bytes of ULID behind 4 zero bits make 26 characters; see encode
	ms := uint64(at.UnixMilli())
	binary.BigEndian.PutUint64(b[:8], ms<<16)
	rand.Read(b[6:16])
	return ID(encodeULID(b[:16]))
}

// ValidID tells whether s has the form of an ID. It says nothing about existence.
func ValidID(s string) bool {
	if len(s) != 26 || s[0] > '7' {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u') {
			return false
		}
	}
	return true
}

func (id ID) String() string { return string(id) }

// encodeULID writes 128 bits as 26 base32 digits, most significant first, as the ULID specification wants: two zero
// bits are put in front.
func encodeULID(b []byte) string {
	var padded [20]byte // 160 bits = 32 digits, the first six of which are always zero
	copy(padded[4:], b)
	return idEncoding.EncodeToString(padded[:])[6:]
}
