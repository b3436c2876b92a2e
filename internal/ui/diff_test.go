package ui

import (
	"strings"
	"testing"
)

// TestDiff: what was added and what was taken away, with the lines around it.
func TestDiff(t *testing.T) {
	t.Parallel()
	a := strings.Split("a b c d e f g h i j k l m n", " ")
	b := strings.Split("a b c d E f g h i j k l m n o", " ")
	var got []string
	for _, l := range diff(a, b) {
		got = append(got, l.Kind+":"+l.Text)
	}
	want := "gap: same:b same:c same:d del:e add:E same:f same:g same:h gap: same:l same:m same:n add:o"
	if strings.Join(got, " ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, " "), want)
	}
	if d := Diff("a\nb", "a\nb"); d != nil {
		t.Error(d)
	}
	if d := Diff("", "a\n"); len(d) != 1 || d[0] != (DiffLine{"add", "a"}) {
		t.Error(d)
	}
}
