package kernel

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"testing"
	"time"
)

func TestNewIDSortsByAge(t *testing.T) {
	t.Parallel()
	start := time.UnixMilli(1_772_000_000_000)
	var ids []string
	for i := range 200 {
		id := NewID(start.Add(time.Duration(i) * time.Millisecond))
		if !ValidID(string(id)) {
			t.Fatalf("%q does not have the form of an ID", id)
		}
		ids = append(ids, string(id))
	}
	if !sort.StringsAreSorted(ids) {
		t.Fatal("IDs made one after the other do not sort by age")
	}
}

func TestNewIDMatchesTheULIDSpecification(t *testing.T) {
	t.Parallel()
	// The specification's example identifier is 01ARZ3NDEKTSV4RRFFQ69G5FAV; its first ten digits are this time.
	if id := NewID(time.UnixMilli(1469922850259)); id[:10] != "01arz3ndek" {
		t.Fatalf("time part is %s", id[:10])
	}
}

func TestValidID(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "short", "8zzzzzzzzzzzzzzzzzzzzzzzzz", "01arz3ndektsv4rrffq69g5fai", "01ARZ3NDEKTSV4RRFFQ69G5FAV"} {
		if ValidID(bad) {
			t.Errorf("ValidID(%q) is true", bad)
		}
	}
}

func TestAsError(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("outer: %w", Errorf(NotFound, "There is no such job."))
	if got := CodeOf(wrapped); got != NotFound {
		t.Errorf("wrapped: %s", got)
	}
	if got := CodeOf(errors.New("disk on fire")); got != Internal {
		t.Errorf("plain: %s", got)
	}
	if got := CodeOf(context.Canceled); got != Unavailable {
		t.Errorf("cancelled: %s", got)
	}
	if safe := AsError(errors.New("secret detail")).Safe; safe == "secret detail" {
		t.Error("a plain error's text is shown to people")
	}
}

func TestCursorRoundTrip(t *testing.T) {
	t.Parallel()
	type key struct {
		At int64  `json:"a"`
		ID string `json:"i"`
	}
	var got key
	if err := DecodeCursor(EncodeCursor(key{7, "x"}), &got); err != nil || got != (key{7, "x"}) {
		t.Fatalf("got %v, %v", got, err)
	}
	if err := DecodeCursor("%%%", &got); CodeOf(err) != Malformed {
		t.Fatalf("a made-up cursor gives %v", err)
	}
}
