package kernel

import (
	"encoding/base64"
	"encoding/json"
)

// EncodeCursor makes the opaque text that stands for a position in a list. v is a small struct of the list's sort keys.
func EncodeCursor(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("kernel: a cursor must be plain data: " + err.Error())
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// DecodeCursor reads what EncodeCursor made into v. A cursor that somebody made up is Malformed.
func DecodeCursor(s string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return Wrap(err, Malformed, "The cursor is not one that this list gave out. Start again without it.")
	}
	return nil
}
