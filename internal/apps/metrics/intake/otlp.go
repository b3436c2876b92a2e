package intake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"

	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/httpx/respond"
)

const mediaJSON = "application/json"

// Limits of an OTLP request: its messages become objects in memory, each many times as large as on the wire.
const (
	maxJSON     = 4 << 20   // bytes
	maxMessages = 500_000   // data points, attributes and whatever has a message of its own
	maxSamples  = 1_000_000 // that one request becomes: each bucket of a histogram is one
	perMessage  = 200       // bytes that one takes in memory, about
)

// oldestPoint is how old a data point may be. The store takes no older ones, but for each resource the translation makes
// target_info for all the time between its oldest and its newest point, which a point from 1970 would make a lot of, and one
// of the far future too.
const oldestPoint = 50 * time.Hour

// lookback is how long a query looks back; target_info is repeated within it.
const lookback = 5 * time.Minute

// promoted are the attributes of a resource that become labels of all its series. Without host.name the series of two
// hosts with the same collector configuration would be one.
var promoted = []string{
	"service.name", "service.namespace", "service.instance.id", "service.version",
	"host.name", "host.id", "deployment.environment", "deployment.environment.name", "cloud.region", "cloud.availability_zone", "container.name",
	"k8s.cluster.name", "k8s.namespace.name", "k8s.node.name", "k8s.pod.name", "k8s.container.name",
	"k8s.deployment.name", "k8s.statefulset.name", "k8s.daemonset.name", "k8s.replicaset.name", "k8s.job.name", "k8s.cronjob.name",
}

// OTLP takes an ExportMetricsServiceRequest, as protobuf or JSON. What cannot be stored is told as a partial success.
//
// Delta sums are stored as they are, each a sample of its own. To turn them into running totals one would have to keep the
// total of every stream in memory: it would be lost with the process, wrong with two servers, and a request that a client
// sends again would count twice. So one asks sum_over_time(x[5m]) of them, where one asks increase(x[5m]) of others.
func (in *Intake) OTLP(w http.ResponseWriter, r *http.Request) error {
	media, unsupported := otlpMedia(r.Header)
	b, err := in.takeOTLP(r, media, unsupported)
	switch {
	case err != nil && media == mediaProto:
		e := kernel.AsError(err)
		respond.SetRetryAfter(w.Header(), e)
		sendOTLP(w, respond.Status(e.Code), media, status(e.Safe))
		return nil
	case err != nil:
		return err
	case unsupported != "":
		return unsupportedMedia(w, r, unsupported)
	}
	return answerOTLP(w, media, b)
}

func (in *Intake) takeOTLP(r *http.Request, media, unsupported string) (*batch, error) {
	actor, err := in.key(r)
	if err != nil || unsupported != "" {
		return nil, err
	}
	req, free, err := in.readOTLP(r, media)
	if err != nil {
		return nil, err
	}
	defer free()
	b, err := in.storeOTLP(r.Context(), actor.WorkspaceID, req)
	if err != nil {
		return nil, in.retry(r, err)
	}
	return b, nil
}

// status is a google.rpc.Status with a message (field 2) and nothing else.
func status(message string) []byte {
	return append(binary.AppendUvarint([]byte{2<<3 | kindBytes}, uint64(len(message))), message...)
}

func sendOTLP(w http.ResponseWriter, status int, media string, text []byte) {
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = w.Write(text) // a client that left
}

func otlpMedia(h http.Header) (media, unsupported string) {
	switch e := h.Get("Content-Encoding"); e {
	case "", "identity", "gzip":
	default:
		return "", fmt.Sprintf("The Content-Encoding %.40q is not known here. Send gzip or none.", e)
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || media != mediaProto && media != mediaJSON {
		return "", fmt.Sprintf("The Content-Type %.80q is not known here. Send %s or %s.", h.Get("Content-Type"), mediaProto, mediaJSON)
	}
	return media, ""
}

// readOTLP reads the request. free gives back the place that it takes.
func (in *Intake) readOTLP(r *http.Request, media string) (req pmetricotlp.ExportRequest, free func(), err error) {
	body, err := plainOTLP(r, media)
	if err != nil {
		return req, nil, err
	}
	messages := bytes.Count(body, []byte("{"))
	if media == mediaProto {
		messages = countMessages(body, otlpTree)
	}
	if messages > maxMessages {
		return req, nil, tooLarge()
	}
	size := int64(len(body) + messages*perMessage)
	if err := in.memory.Acquire(r.Context(), size); err != nil {
		return req, nil, err
	}
	req = pmetricotlp.NewExportRequest()
	if media == mediaProto {
		err = req.UnmarshalProto(body)
	} else {
		err = req.UnmarshalJSON(body)
	}
	if err != nil {
		in.memory.Release(size)
		return req, nil, kernel.Wrap(err, kernel.Malformed, "The body is not an ExportMetricsServiceRequest.")
	}
	return req, func() { in.memory.Release(size) }, nil
}

func plainOTLP(r *http.Request, media string) ([]byte, error) {
	limit := int64(maxDecoded)
	if media == mediaJSON {
		limit = maxJSON
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, unreadable(err)
		}
		body = z
	}
	out, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if int64(len(out)) > limit {
		return nil, tooLarge()
	}
	return out, nil
}

// tree says which fields of a message are messages that are worth counting, and of what kind.
type tree map[int]tree

var otlpTree = func() tree {
	attribute := tree{}
	point := tree{1: attribute, 7: attribute, 9: attribute, 5: {7: attribute}, 8: {7: attribute}, 11: {7: attribute}, 6: {}}
	points := tree{1: point}
	metric := tree{5: points, 7: points, 9: points, 10: points, 11: points, 12: attribute}
	scope := tree{1: {3: attribute}, 2: metric}
	return tree{1: {1: {1: attribute}, 2: scope}}
}()

// countMessages counts messages within a message. It stops where they are too many or the message is damaged, which
// whoever reads it notices.
func countMessages(message []byte, t tree) (n int) {
	f := fields{rest: message}
	for n <= maxMessages && f.next() {
		below, ok := t[f.num]
		if !ok || f.kind != kindBytes {
			continue
		}
		n++
		if len(below) > 0 {
			n += countMessages(f.data, below)
		}
	}
	return n
}

// storeOTLP translates a request and stores it in one transaction.
func (in *Intake) storeOTLP(ctx context.Context, ws kernel.WorkspaceID, req pmetricotlp.ExportRequest) (*batch, error) {
	b, err := in.begin(ctx, ws)
	if err != nil {
		return nil, err
	}
	b.leaveOut(req.Metrics(), in.d.Clock())
	for _, rm := range req.Metrics().ResourceMetrics().All() {
		if r := resourceOf(rm.Resource().Attributes()); r.Host != "" {
			in.d.Resource(ws, r)
		}
	}
	if fatal, err := b.translate(ctx, req); fatal != nil {
		b.undo()
		return nil, fatal
	} else if err != nil { // of metrics that cannot be translated; the others were
		b.refuse(max(1, b.Refused)-b.Refused, clip(err.Error()))
	}
	if err := b.end(); err != nil {
		return nil, err
	}
	in.count(ws, "otlp", b.Counts)
	return b, nil
}

// Resource is what an OTLP request says of the host that its metrics are from.
type Resource struct {
	Host     string // host.name
	OS       string // os.type
	Platform string // os.description
	Arch     string // host.arch
}

func resourceOf(attributes pcommon.Map) (r Resource) {
	text := func(name string) string {
		v, ok := attributes.Get(name)
		if !ok || v.Type() != pcommon.ValueTypeStr || len(v.Str()) > maxHostText {
			return ""
		}
		return v.Str()
	}
	return Resource{Host: text("host.name"), OS: text("os.type"), Platform: text("os.description"), Arch: text("host.arch")}
}

// maxHostText is how many bytes what a request says of a host may have.
const maxHostText = 200

// leaveOut refuses data points that are older or newer than any that can be stored.
func (b *batch) leaveOut(md pmetric.Metrics, now time.Time) {
	oldest, newest, refused := pcommon.NewTimestampFromTime(now.Add(-oldestPoint)), pcommon.NewTimestampFromTime(now.Add(maxAhead)), 0
	out := func(t pcommon.Timestamp) bool {
		is := t < oldest || t > newest
		if is {
			refused++
		}
		return is
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					m.Gauge().DataPoints().RemoveIf(func(p pmetric.NumberDataPoint) bool { return out(p.Timestamp()) })
				case pmetric.MetricTypeSum:
					m.Sum().DataPoints().RemoveIf(func(p pmetric.NumberDataPoint) bool { return out(p.Timestamp()) })
				case pmetric.MetricTypeHistogram:
					m.Histogram().DataPoints().RemoveIf(func(p pmetric.HistogramDataPoint) bool { return out(p.Timestamp()) })
				case pmetric.MetricTypeExponentialHistogram:
					m.ExponentialHistogram().DataPoints().RemoveIf(func(p pmetric.ExponentialHistogramDataPoint) bool { return out(p.Timestamp()) })
				case pmetric.MetricTypeSummary:
					m.Summary().DataPoints().RemoveIf(func(p pmetric.SummaryDataPoint) bool { return out(p.Timestamp()) })
				}
			}
		}
	}
	if refused > 0 {
		b.refuse(refused, fmt.Sprintf("data points are older than %v, or more than %v in the future", oldestPoint, maxAhead))
	}
}

// translate writes what a request carries to the batch. fatal ends the request; err is about some of its metrics.
func (b *batch) translate(ctx context.Context, req pmetricotlp.ExportRequest) (fatal, err error) {
	to := &otlpAppender{batch: b}
	_, err = prometheusremotewrite.NewPrometheusConverter(to).FromMetrics(ctx, req.Metrics(), prometheusremotewrite.Settings{
		AddMetricSuffixes: true, AllowDeltaTemporality: true, LookbackDelta: lookback,
		PromoteResourceAttributes:       prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{PromoteResourceAttributes: promoted}),
		LabelNameUnderscoreSanitization: true,
	})
	return errors.Join(to.fatal, ctx.Err()), err
}

// otlpAppender is what the translation writes to.
type otlpAppender struct {
	*batch
	fatal error
	seen  int
}

// Append implements storage.AppenderV2.
func (a *otlpAppender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AppendV2Options) (storage.SeriesRef, error) {
	if a.fatal != nil {
		return 0, a.fatal
	}
	if a.seen++; a.seen > maxSamples {
		a.fatal = tooLarge()
		return 0, a.fatal
	}
	stored := &a.Samples
	if h != nil || fh != nil {
		stored = &a.Histograms
	}
	if err := check(ls); err != nil {
		a.refuse(1, err.Error())
		return 0, nil
	}
	if a.rules.Drop(ls) {
		a.Dropped++
		*stored++
		return 0, nil
	}
	a.describeSeries(ls, o.MetricFamilyName, o.Metadata)
	ref, err := a.append(ref, ls, st, t, v, h, fh, o)
	switch {
	case err == nil:
		*stored++
		a.Exemplars += len(o.Exemplars)
	case refusable(err):
		a.refuseSample(ls, t, err)
		return 0, nil
	default:
		a.fatal = err
	}
	return ref, err
}

// Commit is called by nobody: the batch ends the transaction.
func (a *otlpAppender) Commit() error { return nil }

// Rollback is called by nobody.
func (a *otlpAppender) Rollback() error { return nil }

// answerOTLP says what was not stored.
func answerOTLP(w http.ResponseWriter, media string, b *batch) error {
	answer := pmetricotlp.NewExportResponse()
	if len(b.problems) > 0 {
		answer.PartialSuccess().SetRejectedDataPoints(int64(b.Refused))
		answer.PartialSuccess().SetErrorMessage(b.problem())
	}
	text, err := answer.MarshalProto()
	if media == mediaJSON {
		text, err = answer.MarshalJSON()
	}
	if err != nil {
		return err
	}
	sendOTLP(w, http.StatusOK, media, text)
	return nil
}

// FailOTLP answers an error as a google.rpc.Status in JSON: of a request in JSON, and where the request was not read.
func FailOTLP(w http.ResponseWriter, status int, e *kernel.Error, _ string) {
	respond.SetRetryAfter(w.Header(), e)
	_ = respond.JSON(w, status, struct {
		Message string `json:"message"`
	}{e.Safe})
}
