package jobs

import (
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/kept-dev/kept/internal/apps/jobs/index"
)

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// elementID makes an id for an element that stands for a run; ids of jobs have characters that ids in HTML must not.
func elementID(queue, id string, run int) string {
	return "run-" + strconv.FormatUint(xxhash.Sum64String(index.Key(queue, id)), 36) + "-" + strconv.Itoa(run)
}
