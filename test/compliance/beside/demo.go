package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/golang/snappy"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/prompb"
)

// demo makes what https://github.com/juliusv/prometheus_demo_service exposes, of three instances at once, as the tester's
// queries know them.
type demo struct {
	rand  *rand.Rand
	sums  map[string]float64 // counters by their series
	order []*prompb.TimeSeries
	by    map[string]*prompb.TimeSeries
	at    time.Time
}

const (
	demoSpan = 2 * time.Hour
	demoStep = 5 * time.Second
)

// runDemo writes all of it, ten minutes at a time, to both.
func runDemo(stock, kept server) error {
	t := &tee{stock: stock, kept: kept}
	d := &demo{rand: rand.New(rand.NewPCG(1, 2)), sums: map[string]float64{}}
	end := time.Now().Truncate(demoStep)
	for at := end.Add(-demoSpan); at.Before(end); {
		d.order, d.by = nil, map[string]*prompb.TimeSeries{}
		for range int(10 * time.Minute / demoStep) {
			d.scrape(at)
			at = at.Add(demoStep)
		}
		req := &prompb.WriteRequest{}
		for _, s := range d.order {
			req.Timeseries = append(req.Timeseries, *s)
		}
		body, err := req.Marshal()
		if err != nil {
			return err
		}
		header := http.Header{"Content-Type": {"application/x-protobuf"}, "Content-Encoding": {"snappy"}, "X-Prometheus-Remote-Write-Version": {"0.1.0"}}
		if a, b := t.both(request{header, snappy.Encode(nil, body)}); a.Status/100 != 2 || b.Status/100 != 2 {
			return fmt.Errorf("stock %d %s, kept %d %s", a.Status, a.Text, b.Status, b.Text)
		}
	}
	t.report()
	return nil
}

func (d *demo) put(v float64, name string, pairs ...string) {
	id := fmt.Sprint(name, pairs)
	s := d.by[id]
	if s == nil {
		s = &prompb.TimeSeries{Labels: []prompb.Label{{Name: "__name__", Value: name}}}
		for i := 0; i < len(pairs); i += 2 {
			s.Labels = append(s.Labels, prompb.Label{Name: pairs[i], Value: pairs[i+1]})
		}
		d.by[id], d.order = s, append(d.order, s)
	}
	s.Samples = append(s.Samples, prompb.Sample{Timestamp: d.at.UnixMilli(), Value: v})
}

func (d *demo) add(v float64, name string, pairs ...string) {
	id := fmt.Sprint(name, pairs)
	d.sums[id] += v
	d.put(d.sums[id], name, pairs...)
}

// scrape is one round. Labels are given in alphabetical order.
func (d *demo) scrape(at time.Time) {
	d.at = at
	wave := func(period time.Duration, low, high float64) float64 {
		return low + (high-low)*(1+math.Sin(2*math.Pi*float64(at.UnixNano()%int64(period))/float64(period)))/2
	}
	for i := range 3 {
		instance := fmt.Sprintf("demo.promlabs.com:%d", 10000+i)
		d.put(float64(4), "demo_num_cpus", "instance", instance, "job", "demo")
		used := wave(17*time.Minute, 2e9, 5e9) + d.rand.Float64()*1e8
		for _, m := range []struct {
			of string
			v  float64
		}{{"used", used}, {"free", 8e9 - used}, {"buffers", 1e8 + d.rand.Float64()*1e6}, {"cached", wave(5*time.Minute, 5e8, 9e8)}} {
			d.put(math.Trunc(m.v), "demo_memory_usage_bytes", "instance", instance, "job", "demo", "type", m.of)
		}
		busy := wave(11*time.Minute, 0.1, 0.9)
		for _, m := range []struct {
			of string
			v  float64
		}{{"user", busy * 0.7}, {"system", busy * 0.3}, {"idle", 1 - busy}} {
			d.add(m.v*demoStep.Seconds()*4, "demo_cpu_usage_seconds_total", "instance", instance, "job", "demo", "mode", m.of)
		}
		d.put(2.68435456e11, "demo_disk_total_bytes", "instance", instance, "job", "demo")
		d.put(1e11+1e6*float64(at.Unix()%7200), "demo_disk_usage_bytes", "instance", instance, "job", "demo")
		d.put(float64(at.Add(-time.Duration(at.Unix()%180)*time.Second).Unix()), "demo_batch_last_success_timestamp_seconds", "instance", instance, "job", "demo")
		d.add(math.Floor(d.rand.Float64()*20), "demo_items_shipped_total", "instance", instance, "job", "demo")
		d.intermittent(instance, i)
		d.requests(instance)
	}
}

// intermittent comes and goes, with the mark that Prometheus leaves when a series is gone.
func (d *demo) intermittent(instance string, i int) {
	switch n := (d.at.Unix()/int64(demoStep.Seconds()) + int64(7*i)) % 24; {
	case n < 12:
		d.put(1, "demo_intermittent_metric", "instance", instance, "job", "demo")
	case n == 12:
		d.put(math.Float64frombits(value.StaleNaN), "demo_intermittent_metric", "instance", instance, "job", "demo")
	}
}

// requests is a classic histogram with several labels.
func (d *demo) requests(instance string) {
	bounds := []float64{0.0001, 0.00015, 0.000225, 0.0003375, 0.00050625, 0.000759375, 0.0011390625, 0.00170859375, 0.0025628906, 0.0038443359, 0.0057665039, 0.0086497559, 0.0129746338, 0.0194619507, math.Inf(1)}
	for _, r := range [][3]string{{"GET", "/api/foo", "200"}, {"GET", "/api/bar", "200"}, {"POST", "/api/foo", "200"}, {"POST", "/api/foo", "500"}, {"GET", "/api/nonexistent", "404"}} {
		labels := []string{"instance", instance, "job", "demo", "method", r[0], "path", r[1], "status", r[2]}
		count, sum, buckets := 0.0, 0.0, make([]float64, len(bounds))
		for range d.rand.IntN(30) {
			took := 0.0002 * math.Exp(2*d.rand.Float64()*d.rand.ExpFloat64())
			count, sum = count+1, sum+took
			for i, b := range bounds {
				if took <= b {
					buckets[i]++
				}
			}
		}
		for i, b := range bounds {
			le := fmt.Sprint(b)
			if math.IsInf(b, 1) {
				le = "+Inf"
			}
			d.add(buckets[i], "demo_api_request_duration_seconds_bucket", "instance", instance, "job", "demo", "le", le, "method", r[0], "path", r[1], "status", r[2])
		}
		d.add(count, "demo_api_request_duration_seconds_count", labels...)
		d.add(sum, "demo_api_request_duration_seconds_sum", labels...)
	}
}
