package query

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/klauspost/compress/snappy"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/util/stats"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx"
)

func (m *Module) serveQuery(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	q, limit, err := question(r)
	if err != nil {
		return apiAnswer{}, err
	}
	if q.At, err = timeParam(r, "time", m.d.Clock()); err != nil {
		return apiAnswer{}, err
	}
	return m.askedBy(ctx, ws, r, q, limit)
}

func (m *Module) serveQueryRange(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	q, limit, err := question(r)
	if err != nil {
		return apiAnswer{}, err
	}
	if q.Span, err = spanParams(r); err != nil {
		return apiAnswer{}, err
	}
	return m.askedBy(ctx, ws, r, q, limit)
}

// queryData is the data of an answer to a query.
type queryData struct {
	value promql.Result
	stats stats.QueryStats // nil: not asked for
}

func (m *Module) askedBy(ctx context.Context, ws kernel.WorkspaceID, r *http.Request, q Question, limit int) (apiAnswer, error) {
	a, err := m.Ask(ctx, ws, q)
	if err != nil {
		return apiAnswer{}, err
	}
	out := apiAnswer{warnings: a.Warnings, query: q.Expr}
	value, cut := truncated(a.Value, limit)
	if cut {
		out.warnings = out.warnings.Add(errTruncated)
	}
	if s := r.FormValue("stats"); s != "" && s != "true" && s != "all" {
		out.warnings = out.warnings.Add(fmt.Errorf(
			"value %q for parameter \"stats\" is deprecated and will be rejected in the next major release, use %q or %q", s, "true", "all"))
	}
	data := &queryData{value: promql.Result{Value: value}}
	if a.Stats != nil {
		data.stats = stats.NewQueryStats(a.Stats)
	}
	out.data = data
	return out, nil
}

func (m *Module) serveExemplars(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	from, err := timeParam(r, "start", minTime)
	if err != nil {
		return apiAnswer{}, err
	}
	to, err := timeParam(r, "end", maxTime)
	if err != nil {
		return apiAnswer{}, err
	}
	if to.Before(from) {
		return apiAnswer{}, bad("", errors.New("end timestamp must not be before start timestamp"))
	}
	found, err := m.Exemplars(ctx, ws, r.FormValue("query"), from, to)
	var param *badParameter
	if errors.As(err, &param) {
		return apiAnswer{}, bad("", param.err) // Prometheus does not name the parameter here
	}
	if found == nil {
		return apiAnswer{}, err
	}
	return apiAnswer{data: found}, err
}

func (m *Module) serveFormat(_ context.Context, _ kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	expr, err := m.Parse(r.FormValue("query"))
	if err != nil {
		return apiAnswer{}, bad("query", err)
	}
	return apiAnswer{data: expr.Pretty(0)}, nil
}

func (m *Module) serveParse(_ context.Context, _ kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	expr, err := m.Parse(r.FormValue("query"))
	if err != nil {
		return apiAnswer{}, bad("query", err)
	}
	return apiAnswer{data: describeExpr(expr)}, nil
}

func (m *Module) serveLabels(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	f, err := m.findingParams(r, "")
	if err != nil {
		return apiAnswer{}, err
	}
	names, warnings, err := m.labelNames(ctx, ws, f)
	return apiAnswer{data: orEmpty(names), warnings: warnings}, err
}

func (m *Module) serveLabelValues(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return apiAnswer{}, bad("", fmt.Errorf("invalid label name: %q", name))
	}
	f, err := m.findingParams(r, "")
	if err != nil {
		return apiAnswer{}, err
	}
	values, warnings, err := m.labelValues(ctx, ws, name, f)
	return apiAnswer{data: orEmpty(values), warnings: warnings}, err
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func (m *Module) serveSeries(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	if len(r.Form["match[]"]) == 0 {
		return apiAnswer{}, bad("", errors.New("no match[] parameter provided"))
	}
	f, err := m.findingParams(r, "match[]")
	if err != nil {
		return apiAnswer{}, err
	}
	found, warnings, err := m.findSeries(ctx, ws, f)
	return apiAnswer{data: found, warnings: warnings}, err
}

func (m *Module) serveMetadata(ctx context.Context, ws kernel.WorkspaceID, r *http.Request) (apiAnswer, error) {
	limit, perMetric := -1, -1
	var err error
	if s := r.FormValue("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil {
			return apiAnswer{}, bad("", errors.New("limit must be a number"))
		}
	}
	if s := r.FormValue("limit_per_metric"); s != "" {
		if perMetric, err = strconv.Atoi(s); err != nil {
			return apiAnswer{}, bad("", errors.New("limit_per_metric must be a number"))
		}
	}
	all, err := m.Metadata(ctx, ws, r.FormValue("metric"))
	if err != nil {
		return apiAnswer{}, err
	}
	out := map[string][]Metadata{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if limit >= 0 && len(out) >= limit {
			break
		}
		list := all[name]
		if perMetric > 0 {
			list = list[:min(perMetric, len(list))]
		}
		out[name] = list
	}
	return apiAnswer{data: out}, nil
}

// promVersion is the version of Prometheus whose API this is. Clients decide by it what they may ask for.
const promVersion = "3.16.0"

// buildInfo is what clients look at to find out what they talk to.
type buildInfo struct {
	Version   string `json:"version"`
	Revision  string `json:"revision"`
	Branch    string `json:"branch"`
	BuildUser string `json:"buildUser"`
	BuildDate string `json:"buildDate"`
	GoVersion string `json:"goVersion"`
}

func (m *Module) serveBuildInfo(context.Context, kernel.WorkspaceID, *http.Request) (apiAnswer, error) {
	return apiAnswer{data: buildInfo{Version: promVersion, Revision: "kept", Branch: "HEAD", GoVersion: runtime.Version()}}, nil
}

// Bounds of remote reads.
const (
	maxReadRequest = 8 << 20    // bytes, decompressed
	maxReadSamples = 50_000_000 // of one query that is not streamed
	maxReadFrame   = 1 << 20    // bytes of a message of a stream
)

// serveRead answers remote reads of other Prometheus servers and of promtool. The request is checked before it is
// decompressed: what it says that it decompresses to is not to be believed.
func (m *Module) serveRead(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if n, err := snappy.DecodedLen(body); err != nil || n > maxReadRequest {
		return kernel.Errorf(kernel.Malformed, "The body is no request of the remote-read protocol: protobuf, compressed with snappy's block format.")
	}
	ws := httpx.ActorOf(r.Context()).WorkspaceID
	ctx, leave, err := m.enter(r.Context(), ws)
	if err != nil {
		return refuse(w, err)
	}
	defer leave()
	r = r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(body))
	none := func() config.Config { return config.Config{} }
	remote.NewReadHandler(m.d.Logger, nil, m.Storage(ws), none, maxReadSamples, 1, maxReadFrame).ServeHTTP(w, r)
	return nil
}
