package metrics

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
)

// ruleCase is a stretch of time on a host, and whom a rule finds in it.
type ruleCase struct {
	rule string
	load string // as promqltest writes series, a sample a minute
	at   time.Duration
	want []string // instances; none: it is quiet
}

const disks = `node_filesystem_size_bytes{instance="a",mountpoint="/",fstype="ext4"} 100x700
	node_filesystem_size_bytes{instance="t",mountpoint="/run",fstype="tmpfs"} 100x700
	node_filesystem_avail_bytes{instance="t",mountpoint="/run",fstype="tmpfs"} 1x700
`

var ruleCases = []ruleCase{
	{"HostDown", `node_boot_time_seconds{instance="a"} 1x60
		node_boot_time_seconds{instance="b"} 1x700`, 50 * time.Minute, nil},
	{"HostDown", `node_boot_time_seconds{instance="a"} 1x60
		node_boot_time_seconds{instance="b"} 1x700`, 70 * time.Minute, []string{"a"}},
	{"HostDown", `node_boot_time_seconds{instance="a"} 1x60
		node_boot_time_seconds{instance="b"} 1x2000`, 20 * time.Hour, []string{"a"}}, // still, the next morning
	{"HostDown", `node_boot_time_seconds{instance="a"} 1x60
		node_boot_time_seconds{instance="b"} 1x2000`, 26 * time.Hour, nil}, // and not for ever: it may have been taken away
	{"DiskFull", disks + `node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"} 6x700`, time.Hour, nil},
	{"DiskFull", disks + `node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"} 4x700`, time.Hour, []string{"a"}},
	{"DiskFullSoon", disks + `node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"} 40-0.05x700`, 6 * time.Hour, []string{"a"}},
	{"DiskFullSoon", disks + `node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"} 40-0.01x700`, 6 * time.Hour, nil},   // in three days
	{"DiskFullSoon", disks + `node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"} 99-0.08x700`, 5 * time.Hour, nil},   // still half empty
	{"DiskFullSoon", disks + `node_filesystem_avail_bytes{instance="a",mountpoint="/",fstype="ext4"} _x330 40-1x30`, 6 * time.Hour, nil}, // known for half an hour
	{"MemoryPressure", `node_memory_MemTotal_bytes{instance="a"} 100x60
		node_memory_MemAvailable_bytes{instance="a"} 6x60`, 30 * time.Minute, nil},
	{"MemoryPressure", `node_memory_MemTotal_bytes{instance="a"} 100x60
		node_memory_MemAvailable_bytes{instance="a"} 4x60`, 30 * time.Minute, []string{"a"}},
	{"MemoryPressure", `node_pressure_memory_stalled_seconds_total{instance="a"} 0+9x60
		node_pressure_memory_stalled_seconds_total{instance="b"} 0+1x60`, 30 * time.Minute, []string{"a"}},
	{"LoadHigh", `node_load15{instance="a"} 5x60
		node_load15{instance="b"} 3x60
		node_cpu_seconds_total{instance="a",cpu="0",mode="idle"} 1x60
		node_cpu_seconds_total{instance="a",cpu="1",mode="idle"} 1x60
		node_cpu_seconds_total{instance="b",cpu="0",mode="idle"} 1x60
		node_cpu_seconds_total{instance="b",cpu="1",mode="idle"} 1x60`, 30 * time.Minute, []string{"a"}},
	{"UnitFailed", `node_systemd_unit_state{instance="a",name="x.service",state="failed"} 1x60
		node_systemd_unit_state{instance="b",name="x.service",state="failed"} 0x60
		node_systemd_unit_state{instance="b",name="x.service",state="active"} 1x60`, 30 * time.Minute, []string{"a"}},
	{"ClockWrong", `node_timex_offset_seconds{instance="a"} -0.6x60
		node_timex_offset_seconds{instance="b"} 0.01x60
		kept_agent_clock_skew_seconds{instance="c"} 30x60
		kept_agent_clock_skew_seconds{instance="d"} -2x60`, 30 * time.Minute, []string{"a", "c"}},
	{"ProbeFails", `probe_success{instance="a",probe="shop"} 0x60
		probe_success{instance="b",probe="shop"} 1x60`, 30 * time.Minute, []string{"a"}},
	{"CertificateExpires", `probe_ssl_earliest_cert_expiry{instance="a"} 1000000x60
		probe_ssl_earliest_cert_expiry{instance="b"} 3000000x60`, 30 * time.Minute, []string{"a"}},
}

// TestRulePack reads the rules as Prometheus does and asks each of them of hosts that are well and of hosts that are not.
func TestRulePack(t *testing.T) {
	t.Parallel()
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.Parse(hostRules, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	asked := map[string][2]int{} // quiet and firing cases of each rule
	for _, c := range ruleCases {
		i := slices.IndexFunc(groups.Groups[0].Rules, func(r rulefmt.Rule) bool { return r.Alert == c.rule })
		if i < 0 {
			t.Fatalf("there is no rule %s", c.rule)
		}
		n := asked[c.rule]
		n[min(1, len(c.want))]++
		asked[c.rule] = n
		if got := firing(t, groups.Groups[0].Rules[i].Expr, c); !slices.Equal(got, c.want) {
			t.Errorf("%s after %v of\n%s\nfinds %q, want %q", c.rule, c.at, c.load, got, c.want)
		}
	}
	for _, r := range groups.Groups[0].Rules {
		if asked[r.Alert][1] == 0 {
			t.Errorf("%s was never seen to fire", r.Alert)
		}
		if r.For < model.Duration(2*time.Minute) || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%s is hasty or says too little: for %v, %v, %v", r.Alert, r.For, r.Labels, r.Annotations)
		}
	}
}

// firing are the instances that an expression finds.
func firing(t *testing.T, expr string, c ruleCase) (out []string) {
	t.Helper()
	store := promqltest.LoadedStorage(t, "load 1m\n\t"+c.load)
	defer store.Close()
	q, err := promqltest.NewTestEngine(t, false, 0, 1_000_000).NewInstantQuery(t.Context(), store, nil, expr, time.Unix(0, 0).Add(c.at))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	v, err := q.Exec(t.Context()).Vector()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range v {
		out = append(out, s.Metric.Get("instance"))
	}
	slices.Sort(out)
	return out
}
