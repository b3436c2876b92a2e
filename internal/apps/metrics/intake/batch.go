package intake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"github.com/kept-dev/kept/internal/kernel"
)

// Limits of one series.
const (
	maxLabels     = 100
	maxLabelName  = 512     // bytes
	maxLabelValue = 8 << 10 // bytes
)

// maxAhead is how far in the future a sample may be: clocks differ, and what is further away would make the store take
// everything else for late.
const maxAhead = 10 * time.Minute

// maxProblems is how many refusals an answer describes; the rest is only counted.
const maxProblems = 10

// hostSeries is the series by which a host shows itself, when node_exporter or kept-agent watches it.
const hostSeries = "node_uname_info"

// Counts is what became of a request.
type Counts struct {
	Samples    int // stored, or dropped because the workspace wants it so
	Histograms int
	Exemplars  int
	Dropped    int // of the samples and histograms: by a rule
	Refused    int // samples and histograms that were not stored: bad labels or times, or over the limit of series
}

// batch is one request on its way into a workspace's series: what all protocols have in common. It is one transaction;
// what is refused stays out and the rest goes in.
type batch struct {
	Counts
	app      storage.AppenderV2
	exemplar storage.ExemplarAppenderV2 // the same
	known    storage.GetRef             // nil where the store cannot say
	rules    *Rules
	maxTime  int64
	saw      func(labels.Labels)
	means    func(string, Meaning)
	problems []string

	builder   labels.ScratchBuilder
	scratch   labels.Labels
	dropped   bool   // the present series
	described string // the metric whose meaning was told last
}

func (in *Intake) begin(ctx context.Context, ws kernel.WorkspaceID) (*batch, error) {
	rules, err := in.d.Rules(ctx, ws)
	if err != nil {
		return nil, err
	}
	b := &batch{app: in.d.Store.For(ws).AppenderV2(ctx), rules: rules, builder: labels.NewScratchBuilder(16),
		maxTime: in.d.Clock().Add(maxAhead).UnixMilli(), saw: func(ls labels.Labels) { in.d.Host(ws, ls) },
		means: func(metric string, m Meaning) { in.d.Means(ws, metric, m) }}
	b.known, _ = b.app.(storage.GetRef)
	var ok bool
	if b.exemplar, ok = b.app.(storage.ExemplarAppenderV2); !ok {
		b.undo()
		return nil, fmt.Errorf("intake: %T takes no exemplars", b.app)
	}
	return b, nil
}

// refuse notes why something is not stored.
func (b *batch) refuse(samples int, why string) {
	b.Refused += samples
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, why)
	} else if len(b.problems) == maxProblems {
		b.problems = append(b.problems, "and more")
	}
}

func (b *batch) problem() string { return strings.Join(b.problems, "\n") }

// series makes labels of what is in the builder and looks the series up. Labels that are not valid are an error; those of
// a series that is stored are valid.
func (b *batch) series() (ref storage.SeriesRef, ls labels.Labels, err error) {
	b.builder.Sort()
	b.builder.Overwrite(&b.scratch)
	if b.known != nil {
		ref, ls = b.known.GetRef(b.scratch, b.scratch.Hash())
	}
	if ref == 0 {
		if err := check(b.scratch); err != nil {
			return 0, ls, err
		}
		ls = b.scratch.Copy()
	}
	b.dropped = b.rules.Drop(ls)
	if !b.dropped && ls.Get(model.MetricNameLabel) == hostSeries {
		b.saw(ls)
	}
	return ref, ls, nil
}

// check holds a series to what can be stored and asked for.
func check(ls labels.Labels) error {
	name := ls.Get(model.MetricNameLabel)
	if name == "" {
		return errors.New("a series has no metric name")
	}
	if ls.Len() > maxLabels {
		return fmt.Errorf("%.200q: there are %d labels, which is more than %d", name, ls.Len(), maxLabels)
	}
	if !ls.IsValid(model.UTF8Validation) {
		return fmt.Errorf("%.200q: a name or value is not valid UTF-8, or empty", name)
	}
	if twice, is := ls.HasDuplicateLabelNames(); is {
		return fmt.Errorf("%.200q: the label %.200q is there twice", name, twice)
	}
	return ls.Validate(func(l labels.Label) error {
		if len(l.Name) > maxLabelName || len(l.Value) > maxLabelValue {
			return fmt.Errorf("%.200q: the label %.200q is too long", name, l.Name)
		}
		return nil
	})
}

// refusable tells whether an error of the store is about one sample and would be the same the next time.
func refusable(err error) bool {
	var h histogram.Error
	return errors.Is(err, storage.ErrOutOfOrderSample) || errors.Is(err, storage.ErrOutOfBounds) ||
		errors.Is(err, storage.ErrDuplicateSampleForTimestamp) || errors.Is(err, storage.ErrTooOldSample) || errors.As(err, &h)
}

// sample stores one sample or histogram. An error ends the whole request; what is refused is none.
func (b *batch) sample(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, meta metadata.Metadata) (storage.SeriesRef, error) {
	stored := &b.Samples
	if h != nil || fh != nil {
		stored = &b.Histograms
	}
	if b.dropped {
		b.Dropped++
		*stored++
		return ref, nil
	}
	ref, err := b.append(ref, ls, st, t, v, h, fh, storage.AOptions{Metadata: meta})
	if err == nil {
		*stored++
	}
	if err != nil && refusable(err) {
		b.refuseSample(ls, t, err)
		return ref, nil
	}
	return ref, err
}

// refuseSample is refuse for one sample. Its text is made only where there is room for it: there may be many.
func (b *batch) refuseSample(ls labels.Labels, t int64, err error) {
	why := ""
	if len(b.problems) < maxProblems {
		why = fmt.Sprintf("%v: %s at %d", err, clip(ls.String()), t)
	}
	b.refuse(1, why)
}

func (b *batch) append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	if t > b.maxTime {
		return ref, fmt.Errorf("%w: more than %v in the future", storage.ErrOutOfBounds, maxAhead)
	}
	if err := coarser(h, fh); err != nil {
		return ref, err
	}
	ref, err := b.app.Append(ref, ls, st, t, v, h, fh, o)
	if errors.Is(err, (*storage.AppendPartialError)(nil)) { // the sample is stored, some of its exemplars are not
		err = nil
	}
	return ref, err
}

// coarser brings histograms that are finer than can be stored to the finest that can.
func coarser(h *histogram.Histogram, fh *histogram.FloatHistogram) error {
	if h != nil && histogram.IsExponentialSchemaReserved(h.Schema) && h.Schema > histogram.ExponentialSchemaMax {
		return h.ReduceResolution(histogram.ExponentialSchemaMax)
	}
	if fh != nil && histogram.IsExponentialSchemaReserved(fh.Schema) && fh.Schema > histogram.ExponentialSchemaMax {
		return fh.ReduceResolution(histogram.ExponentialSchemaMax)
	}
	return nil
}

// exemplars stores exemplars of a series that has been stored. They are a help and no record: those that cannot be stored
// are not counted, and nothing else.
func (b *batch) exemplars(ref storage.SeriesRef, ls labels.Labels, list []exemplar.Exemplar) {
	if b.dropped || ref == 0 || len(list) == 0 {
		return
	}
	slices.SortFunc(list, exemplar.Compare)
	for len(list) > 0 && list[len(list)-1].Ts > b.maxTime {
		list = list[:len(list)-1]
	}
	if len(list) == 0 {
		return
	}
	_, err := b.exemplar.AppendExemplars(ref, ls, list)
	var partial *storage.AppendPartialError
	switch {
	case errors.As(err, &partial):
		b.Exemplars += max(0, len(list)-len(partial.ExemplarErrors))
	case err == nil:
		b.Exemplars += len(list)
	}
}

// end commits: when it returns nil, all that was not refused survives the death of this process.
func (b *batch) end() error { return b.app.Commit() }

// drop undoes the batch.
func (b *batch) undo() { _ = b.app.Rollback() }

func clip(s string) string {
	if len(s) > 300 {
		return strings.ToValidUTF8(s[:300], "") + "…"
	}
	return s
}
