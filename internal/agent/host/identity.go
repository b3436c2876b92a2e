package host

import (
	"crypto/sha256"
	"encoding/hex"
)

// identity is a name for a machine that says nothing about it: a hash of its own id, or of its name where it has none.
func identity(machine, name string) string {
	if machine == "" {
		machine = "name:" + name
	}
	sum := sha256.Sum256([]byte("kept-agent host " + machine))
	return hex.EncodeToString(sum[:16])
}
