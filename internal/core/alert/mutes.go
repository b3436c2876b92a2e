package alert

import (
	"context"
	"time"

	"github.com/kept-dev/kept/internal/kernel"
)

// Limits of mutes.
const (
	maxSilences   = 1000
	maxSilence    = 366 * 24 * time.Hour
	maxWindow     = 7 * 24 * time.Hour
	maxRRule      = 500
	maxFrequency  = 400 // occurrences that are looked at to find the one of now
	mutesListed   = 500
	endOfNever    = int64(1) << 62 // of a window that recurs without end, microseconds
	muteKept      = 90 * 24 * time.Hour
	windowPreview = 5
)

// Mute says what mutes an alert.
type Mute struct {
	Kind  string // "silence", "maintenance"
	ID    kernel.ID
	Text  string
	Until time.Time
}

// mutes are all that mute at one moment.
type mutes struct {
	silences []Silence
	windows  []Window
	spans    []Span
}

// mutesAt reads what mutes at a moment.
func (m *Module) mutesAt(ctx context.Context, ws kernel.WorkspaceID, now time.Time) (out mutes, err error) {
	silences, err := m.Silences(ctx, ws, now)
	if err != nil {
		return out, err
	}
	for _, s := range silences {
		if s.State(now) == "active" {
			out.silences = append(out.silences, s)
		}
	}
	windows, err := m.Windows(ctx, ws, now)
	for _, w := range windows {
		if span, ok := w.At(now); ok {
			out.windows, out.spans = append(out.windows, w), append(out.spans, span)
		}
	}
	return out, err
}

// of is what mutes an alert; nil: nothing does.
func (s mutes) of(ls map[string]string) *Mute {
	for _, silence := range s.silences {
		if matches(silence.Matchers, ls) {
			return &Mute{"silence", silence.ID, silence.Comment, silence.Until}
		}
	}
	for i, w := range s.windows {
		if len(w.Matchers) == 0 || matches(w.Matchers, ls) {
			return &Mute{"maintenance", w.ID, w.Name, s.spans[i].Until}
		}
	}
	return nil
}
