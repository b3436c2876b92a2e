package intake

import (
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/prompb"
)

// Meaning is what a sender says of a metric.
type Meaning struct {
	Type string // counter, gauge, histogram, gaugehistogram, summary, info, stateset, unknown
	Help string
	Unit string
}

// Limits of what is kept of a meaning.
const (
	maxHelp = 500 // bytes; longer ones are cut
	maxUnit = 60  // bytes; longer ones are none
)

// describe hands on what a sender says of a series' metric. The text is the request's: who keeps it makes a copy.
func (b *batch) describe(name, family string, m metadata.Metadata) {
	if m.Help == "" && m.Unit == "" && (m.Type == "" || m.Type == model.MetricTypeUnknown) || name == b.described {
		return
	}
	b.described = name
	if family == "" {
		family = familyOf(name, m.Type)
	}
	if family == "" || len(family) > maxLabelName || len(m.Help) > maxLabelValue {
		return
	}
	out := Meaning{Type: string(m.Type), Help: m.Help, Unit: m.Unit}
	if out.Type == "" {
		out.Type = string(model.MetricTypeUnknown)
	}
	if len(out.Help) > maxHelp {
		out.Help = strings.ToValidUTF8(out.Help[:maxHelp], "") + "…"
	}
	if len(out.Unit) > maxUnit {
		out.Unit = ""
	}
	b.means(family, out)
}

// describeSeries is describe for a series that is about to be stored.
func (b *batch) describeSeries(ls labels.Labels, family string, m metadata.Metadata) {
	b.describe(ls.Get(model.MetricNameLabel), family, m)
}

// familyOf is the name that a metric is described by: without what tells apart the series of one histogram or summary.
func familyOf(name string, t model.MetricType) string {
	var parts []string
	switch t {
	case model.MetricTypeHistogram:
		parts = []string{"_bucket", "_count", "_sum"}
	case model.MetricTypeGaugeHistogram:
		parts = []string{"_bucket", "_gcount", "_gsum"}
	case model.MetricTypeSummary:
		parts = []string{"_count", "_sum"}
	}
	for _, p := range parts {
		if rest, is := strings.CutSuffix(name, p); is && rest != "" {
			return rest
		}
	}
	return name
}

// metadata1 reads a prometheus.MetricMetadata, as senders of 1.0 send them now and then, apart from samples.
func (b *batch) metadata1(message []byte) error {
	var m prompb.MetricMetadata
	if m.Unmarshal(message) != nil {
		return errProto
	}
	t := model.MetricType(strings.ToLower(m.Type.String()))
	b.describe(m.MetricFamilyName, m.MetricFamilyName, metadata.Metadata{Type: t, Help: m.Help, Unit: m.Unit})
	return nil
}
