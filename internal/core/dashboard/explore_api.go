package dashboard

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

// What completion lists at most: more cannot be looked through, and slows the editor down.
const (
	completeNames  = 20_000
	completeSeries = 2_000
)

// completing is what the questions of the editor have in common; they are those of Prometheus's API.
type completing struct {
	ws        kernel.WorkspaceID
	selectors [][]*labels.Matcher
	from, to  time.Time
}

func (m *Module) readCompleting(r *http.Request) (completing, error) {
	q := r.URL.Query()
	now := m.d.Clock().UTC()
	c := completing{ws: httpx.ActorOf(r.Context()).WorkspaceID, from: now.Add(-12 * time.Hour), to: now}
	var err error
	if s := q.Get("start"); s != "" {
		if c.from, err = httpx.ReadTime(s); err != nil {
			return c, err
		}
	}
	if s := q.Get("end"); s != "" {
		if c.to, err = httpx.ReadTime(s); err != nil {
			return c, err
		}
	}
	if len(q["match[]"]) > 0 {
		if c.selectors, err = m.d.Query.ParseSelectors(q["match[]"]...); err != nil {
			return c, kernel.Errorf(kernel.Malformed, "match[]: %v", err)
		}
	}
	return c, nil
}

func (m *Module) completeLabels(w http.ResponseWriter, r *http.Request) error {
	c, err := m.readCompleting(r)
	if err != nil {
		return err
	}
	names, err := m.d.Query.LabelNames(r.Context(), c.ws, c.selectors, c.from, c.to)
	if err != nil {
		return err
	}
	return writeFound(w, first(names, completeNames))
}

func (m *Module) completeValues(w http.ResponseWriter, r *http.Request) error {
	c, err := m.readCompleting(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	if !model.UTF8Validation.IsValidLabelName(name) {
		return kernel.Errorf(kernel.Malformed, "This is no name of a label.")
	}
	values, err := m.d.Query.LabelValues(r.Context(), c.ws, name, c.selectors, c.from, c.to)
	if err != nil {
		return err
	}
	return writeFound(w, first(values, completeNames))
}

func (m *Module) completeSeries(w http.ResponseWriter, r *http.Request) error {
	c, err := m.readCompleting(r)
	if err != nil {
		return err
	}
	if len(c.selectors) == 0 {
		return kernel.Errorf(kernel.Malformed, "Say which series in match[].")
	}
	found, err := m.d.Query.Series(r.Context(), c.ws, c.selectors, c.from, c.to, completeSeries)
	if err != nil {
		return err
	}
	if found == nil {
		found = []labels.Labels{}
	}
	return writeFound(w, found)
}

func (m *Module) completeMetadata(w http.ResponseWriter, r *http.Request) error {
	all, err := m.d.Query.Metadata(r.Context(), httpx.ActorOf(r.Context()).WorkspaceID, r.URL.Query().Get("metric"))
	if err != nil {
		return err
	}
	if len(all) > completeNames {
		names := slices.Sorted(maps.Keys(all))
		for _, name := range names[completeNames:] {
			delete(all, name)
		}
	}
	return writeFound(w, all)
}

func first(list []string, n int) []string {
	if list == nil {
		return []string{}
	}
	return list[:min(n, len(list))]
}

func writeFound(w http.ResponseWriter, data any) error {
	b, err := json.Marshal(map[string]any{"status": "success", "data": data})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "private, max-age=30")
	_, err = w.Write(b)
	return err
}

// metadataOf is what is known of metrics; what cannot be found out is not worth an error page.
func (m *Module) metadataOf(ctx context.Context, ws kernel.WorkspaceID) map[string][]query.Metadata {
	all, err := m.d.Query.Metadata(ctx, ws, "")
	if err != nil {
		m.d.Logger.Warn("no metadata", "err", err)
	}
	return all
}
