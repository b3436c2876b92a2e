package series

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier implements storage.Queryable.
func (c cluster) Querier(mint, maxt int64) (storage.Querier, error) {
	if err := c.r.ready(c.ws); err != nil {
		return nil, err
	}
	return &remoteQuerier{c: c, mint: mint, maxt: maxt}, nil
}

// ChunkQuerier implements storage.ChunkQueryable.
func (c cluster) ChunkQuerier(mint, maxt int64) (storage.ChunkQuerier, error) {
	q, err := c.Querier(mint, maxt)
	if err != nil {
		return nil, err
	}
	return remoteChunkQuerier{q.(*remoteQuerier)}, nil
}

type remoteQuerier struct {
	c          cluster
	mint, maxt int64
	mu         sync.Mutex
	cancels    []context.CancelFunc // of what is being read
}

type remoteChunkQuerier struct{ *remoteQuerier }

func (q remoteChunkQuerier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.ChunkSeriesSet {
	return storage.NewSeriesSetToChunkSet(q.remoteQuerier.Select(ctx, sorted, hints, matchers...))
}

// Close implements storage.LabelQuerier.
func (q *remoteQuerier) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, cancel := range q.cancels {
		cancel()
	}
	q.cancels = nil
	return nil
}

// Select implements storage.Querier. It reads by remote read, which gives samples as they are stored; from a cluster
// without it by a query for raw samples, which gives floats only and no marks of where series ended.
func (q *remoteQuerier) Select(ctx context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	matchers, possible := q.c.within(matchers)
	if !possible {
		return storage.EmptySeriesSet()
	}
	ctx, cancel := context.WithCancel(forTenant(ctx, q.c.ws))
	q.mu.Lock()
	q.cancels = append(q.cancels, cancel)
	q.mu.Unlock()
	var all []storage.Series
	var err error
	if !q.c.r.noRead.Load() {
		all, err = q.remoteRead(ctx, hints, matchers)
	}
	if q.c.r.noRead.Load() {
		all, err = q.rawQuery(ctx, matchers)
	}
	if err != nil {
		return storage.ErrSeriesSet(err)
	}
	return sortedSet(all)
}

func (q *remoteQuerier) remoteRead(ctx context.Context, hints *storage.SelectHints, matchers []*labels.Matcher) (all []storage.Series, err error) {
	query, err := remote.ToQuery(q.mint, q.maxt, matchers, hints)
	if err != nil {
		return nil, fmt.Errorf("series: %w", err)
	}
	set, err := q.c.r.read.Read(ctx, query, false)
	if err != nil {
		// The client tells the status in words only.
		for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
			if strings.Contains(err.Error(), fmt.Sprint("returned http status ", status)) {
				q.c.r.noRead.Store(true)
				return nil, nil
			}
		}
		return nil, fmt.Errorf("series: %w", err)
	}
	for set.Next() {
		all = append(all, ownSeries(set.At()))
	}
	return all, set.Err()
}

// ownSeries is a series as its workspace knows it.
func ownSeries(s storage.Series) storage.Series {
	own := labels.NewBuilder(s.Labels()).Del(WorkspaceLabel).Labels()
	return &storage.SeriesEntry{Lset: own, SampleIteratorFn: s.Iterator}
}

// sortedSet sorts series, because without the label of the workspace their order may be another one, and joins those that
// came in several pieces.
func sortedSet(all []storage.Series) storage.SeriesSet {
	slices.SortStableFunc(all, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	out := &listSet{at: -1}
	for i := 0; i < len(all); {
		end := i + 1
		for end < len(all) && labels.Equal(all[i].Labels(), all[end].Labels()) {
			end++
		}
		if end > i+1 {
			out.all = append(out.all, storage.ChainedSeriesMerge(all[i:end]...))
		} else {
			out.all = append(out.all, all[i])
		}
		i = end
	}
	return out
}

type listSet struct {
	all []storage.Series
	at  int
}

func (l *listSet) Next() bool                      { l.at++; return l.at < len(l.all) }
func (l *listSet) At() storage.Series              { return l.all[l.at] }
func (*listSet) Err() error                        { return nil }
func (*listSet) Warnings() annotations.Annotations { return nil }

// rawQuery asks for the samples of a range.
func (q *remoteQuerier) rawQuery(ctx context.Context, matchers []*labels.Matcher) (all []storage.Series, err error) {
	var data struct {
		Result []struct {
			Metric map[string]string    `json:"metric"`
			Values [][2]json.RawMessage `json:"values"`
		} `json:"result"`
	}
	// A range leaves out its first moment.
	err = q.c.r.ask(ctx, "/api/v1/query", url.Values{
		"query": {fmt.Sprintf("%s[%dms]", selector(matchers), q.maxt-q.mint+1)}, "time": {seconds(q.maxt)},
	}, &data)
	if err != nil {
		return nil, err
	}
	for _, s := range data.Result {
		var samples []chunks.Sample
		for _, v := range s.Values {
			p, err := rawPoint(v)
			if err != nil {
				return nil, err
			}
			if p.t >= q.mint {
				samples = append(samples, p)
			}
		}
		all = append(all, ownSeries(storage.NewListSeries(labels.FromMap(s.Metric), samples)))
	}
	return all, nil
}

// rawPoint reads [1700000000.123, "0.5"]. The time is cut out of the text, because a float would round it.
func rawPoint(v [2]json.RawMessage) (p rawSample, err error) {
	whole, rest, _ := strings.Cut(string(v[0]), ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return p, fmt.Errorf("series: a time of the cluster: %w", err)
	}
	ms, err := strconv.ParseInt((rest + "000")[:3], 10, 64)
	if err != nil {
		return p, fmt.Errorf("series: a time of the cluster: %w", err)
	}
	if strings.HasPrefix(whole, "-") {
		ms = -ms
	}
	var text string
	if err := json.Unmarshal(v[1], &text); err != nil {
		return p, fmt.Errorf("series: a value of the cluster: %w", err)
	}
	p.t = sec*1000 + ms
	if p.v, err = strconv.ParseFloat(text, 64); err != nil {
		return p, fmt.Errorf("series: a value of the cluster: %w", err)
	}
	return p, nil
}

type rawSample struct {
	t int64
	v float64
}

func (s rawSample) T() int64                    { return s.t }
func (rawSample) ST() int64                     { return 0 }
func (s rawSample) F() float64                  { return s.v }
func (rawSample) H() *histogram.Histogram       { return nil }
func (rawSample) FH() *histogram.FloatHistogram { return nil }
func (rawSample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s rawSample) Copy() chunks.Sample         { return s }

// seconds writes milliseconds as the API has times.
func seconds(ms int64) string {
	return strconv.FormatFloat(float64(ms)/1000, 'f', 3, 64)
}

// span are the parameters of a question about series.
func (q *remoteQuerier) span(hints *storage.LabelHints, matchers []*labels.Matcher) url.Values {
	v := url.Values{"match[]": {selector(matchers)}, "start": {seconds(q.mint)}, "end": {seconds(q.maxt)}}
	if hints != nil && hints.Limit > 0 {
		v.Set("limit", strconv.Itoa(hints.Limit+1)) // one may be ours
	}
	return v
}

// LabelNames implements storage.LabelQuerier.
func (q *remoteQuerier) LabelNames(ctx context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) (out []string, _ annotations.Annotations, err error) {
	matchers, possible := q.c.within(matchers)
	if !possible {
		return nil, nil, nil
	}
	err = q.c.r.ask(forTenant(ctx, q.c.ws), "/api/v1/labels", q.span(hints, matchers), &out)
	out = slices.DeleteFunc(out, func(name string) bool { return name == WorkspaceLabel })
	return cut(out, hints), nil, err
}

// LabelValues implements storage.LabelQuerier.
func (q *remoteQuerier) LabelValues(ctx context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) (out []string, _ annotations.Annotations, err error) {
	matchers, possible := q.c.within(matchers)
	if !possible || name == WorkspaceLabel {
		return nil, nil, nil
	}
	if !model.LegacyValidation.IsValidLabelName(name) {
		name = model.EscapeName(name, model.ValueEncodingEscaping)
	}
	err = q.c.r.ask(forTenant(ctx, q.c.ws), "/api/v1/label/"+name+"/values", q.span(hints, matchers), &out)
	return cut(out, hints), nil, err
}

func cut(all []string, hints *storage.LabelHints) []string {
	slices.Sort(all)
	if hints != nil && hints.Limit > 0 && len(all) > hints.Limit {
		return all[:hints.Limit]
	}
	return all
}

// ExemplarQuerier implements storage.ExemplarQueryable.
func (c cluster) ExemplarQuerier(ctx context.Context) (storage.ExemplarQuerier, error) {
	if err := c.r.ready(c.ws); err != nil {
		return nil, err
	}
	return remoteExemplars{c, ctx}, nil
}

type remoteExemplars struct {
	c   cluster
	ctx context.Context
}

// Select implements storage.ExemplarQuerier.
func (q remoteExemplars) Select(start, end int64, sets ...[]*labels.Matcher) (out []exemplar.QueryResult, err error) {
	seen := map[string]bool{}
	out = []exemplar.QueryResult{}
	for _, matchers := range sets {
		matchers, possible := q.c.within(matchers)
		if !possible {
			continue
		}
		var data []struct {
			Labels    map[string]string `json:"seriesLabels"`
			Exemplars []struct {
				Labels map[string]string `json:"labels"`
				Value  string            `json:"value"`
				At     json.Number       `json:"timestamp"`
			} `json:"exemplars"`
		}
		err := q.c.r.ask(forTenant(q.ctx, q.c.ws), "/api/v1/query_exemplars", url.Values{"query": {selector(matchers)}, "start": {seconds(start)}, "end": {seconds(end)}}, &data)
		if err != nil {
			return nil, err
		}
		for _, s := range data {
			res := exemplar.QueryResult{SeriesLabels: labels.NewBuilder(labels.FromMap(s.Labels)).Del(WorkspaceLabel).Labels()}
			if key := res.SeriesLabels.String(); seen[key] {
				continue
			} else {
				seen[key] = true
			}
			for _, e := range s.Exemplars {
				p, err := rawPoint([2]json.RawMessage{json.RawMessage(e.At), json.RawMessage(strconv.Quote(e.Value))})
				if err != nil {
					return nil, err
				}
				res.Exemplars = append(res.Exemplars, exemplar.Exemplar{Labels: labels.FromMap(e.Labels), Value: p.v, Ts: p.t, HasTs: true})
			}
			out = append(out, res)
		}
	}
	return out, nil
}
