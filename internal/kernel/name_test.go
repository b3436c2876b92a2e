package kernel

import (
	"strings"
	"testing"
)

func TestCleanName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                            "",
		"  Ann \t\n Ex ":              "Ann Ex",
		"Zoë 東京":                      "Zoë 東京",
		"a\xffb":                      "ab",
		strings.Repeat("é", 10):       strings.Repeat("é", 10),
		strings.Repeat("é", 11):       "!Use at most 10 characters.",
		"a\u202eb":                    "!Use visible characters only.",
		"a\x00b":                      "!Use visible characters only.",
		strings.Repeat(" ", 11) + "a": "a",
	} {
		got, err := CleanName("title", in, 10)
		if err != nil {
			got = "!" + AsError(err).Fields["title"]
		}
		if got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
