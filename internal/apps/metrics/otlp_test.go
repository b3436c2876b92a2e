package metrics

import (
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// collector sends what the hostmetrics receiver of an OpenTelemetry Collector says of a host whose disk is full by a part,
// over the last twenty minutes.
func (w *world) collector(t *testing.T, host string, used float64) {
	t.Helper()
	for minutes := 20; minutes >= 0; minutes-- {
		at := pcommon.NewTimestampFromTime(w.Stack.Clock.Now().Add(-time.Duration(minutes) * time.Minute))
		md := pmetric.NewMetrics()
		rm := md.ResourceMetrics().AppendEmpty()
		for name, value := range map[string]string{"host.name": host, "os.type": "linux", "os.description": "Debian GNU/Linux 13", "host.arch": "arm64"} {
			rm.Resource().Attributes().PutStr(name, value)
		}
		list := rm.ScopeMetrics().AppendEmpty().Metrics()
		sum := func(name, unit string, monotonic bool) pmetric.NumberDataPointSlice {
			m := list.AppendEmpty()
			m.SetName(name)
			m.SetUnit(unit)
			s := m.SetEmptySum()
			s.SetIsMonotonic(monotonic)
			s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			return s.DataPoints()
		}
		point := func(s pmetric.NumberDataPointSlice, v float64, labels ...string) {
			p := s.AppendEmpty()
			p.SetDoubleValue(v)
			p.SetTimestamp(at)
			for i := 0; i < len(labels); i += 2 {
				p.Attributes().PutStr(labels[i], labels[i+1])
			}
		}
		cpu := sum("system.cpu.time", "s", true)
		point(cpu, float64(20-minutes)*60*.75, "cpu", "cpu0", "state", "idle")
		point(cpu, float64(20-minutes)*60*.25, "cpu", "cpu0", "state", "user")
		memory := sum("system.memory.usage", "By", false)
		point(memory, 6e9, "state", "used")
		point(memory, 2e9, "state", "free")
		disk := sum("system.filesystem.usage", "By", false)
		for state, v := range map[string]float64{"used": used * 100e9, "free": (1 - used) * 100e9} {
			point(disk, v, "mountpoint", "/data", "device", "/dev/vda", "type", "ext4", "mode", "rw", "state", state)
		}
		b, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
		if err != nil {
			t.Fatal(err)
		}
		w.post(t, "/v1/metrics", "application/x-protobuf", b)
	}
	if err := w.writeNoted(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestHostsThatOnlyOTLPNames: they are listed with what is known of them, the fuller disk first, have a page with charts, go
// down when nothing comes any more, and are one with the host that an exporter or an agent tells more of.
func TestHostsThatOnlyOTLPNames(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.collector(t, "db-1", .5)
		w.collector(t, "db-2", .97)
		page := w.person.Get(w.path("/hosts")).Is(200, "db-1", "db-2", "Debian GNU/Linux 13", "/data is 97 % full", "25 %", "75 %")
		if strings.Index(page.Body, ">db-2<") > strings.Index(page.Body, ">db-1<") {
			t.Error("the host in trouble does not come first")
		}
		hosts, err := w.Hosts(t.Context(), w.ws)
		if err != nil || len(hosts) != 2 || hosts[0].Source != fromOTLP || hosts[0].Arch != "arm64" {
			t.Fatalf("%+v, %v", hosts, err)
		}
		w.person.Get(hostHref(w.ws, hosts[1].ID)).Is(200, "/data is 97 % full", "OpenTelemetry (OTLP)", "Label host_name", "chart-cpu", "chart-memory", `host_name%3D%22db-2%22`)
		w.Stack.Clock.Add(6 * time.Minute)
		w.person.Get(w.path("/hosts?state=down")).Is(200, "No samples for", "db-1", "db-2")
		// node_exporter comes to one of them.
		if code := w.send(t, w.key, w.machine("db-1", .2)...); code != 204 {
			t.Fatal(code)
		}
		w.collector(t, "db-1", .5)
		hosts, err = w.Hosts(t.Context(), w.ws)
		if err != nil || len(hosts) != 2 || hosts[0].Source != fromSeries || hosts[0].Kernel != "6.12.1" {
			t.Errorf("%+v, %v", hosts, err)
		}
	})
}

// TestHostsAreBounded: a label that is new each time does not make a host each time.
func TestHostsAreBounded(t *testing.T) {
	t.Parallel()
	s := newSeen(func() time.Time { return time.Unix(1e9, 0) })
	for i := range maxSeen + 10 {
		s.noteHost("ws", Host{Instance: "h" + strings.Repeat("x", i%3) + time.Duration(i).String()})
	}
	if keys, _ := s.take(); len(keys) != maxSeen {
		t.Errorf("%d hosts are remembered", len(keys))
	}
}
