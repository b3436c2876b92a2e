package jobs

import (
	"encoding/json"
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

// progressOf is the progress that a step reported; nil when it reported something else.
func progressOf(s *Step) json.RawMessage {
	var data eventData
	if json.Unmarshal(s.Data, &data) != nil || !has(data.Progress) {
		return nil
	}
	return data.Progress
}
