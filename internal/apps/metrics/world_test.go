package metrics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/prometheus/prometheus/model/labels"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"

	"github.com/kept-dev/kept/internal/core/access/accesstest"
	"github.com/kept-dev/kept/internal/core/audit"
	"github.com/kept-dev/kept/internal/core/query"
	"github.com/kept-dev/kept/internal/kernel"
	"github.com/kept-dev/kept/internal/platform/bus"
	"github.com/kept-dev/kept/internal/platform/db"
	"github.com/kept-dev/kept/internal/platform/series"
	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/wire/agentapi"
)

// world is the app on a real store, with accounts and the edge in front of it.
type world struct {
	*Module
	*accesstest.Stack
	ws     kernel.WorkspaceID
	key    string // with every scope
	person *accesstest.Browser
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	accesstest.Each(t, func(t *testing.T, s *accesstest.Stack) { f(t, newWorld(t, s)) })
}

func newWorld(t testing.TB, s *accesstest.Stack) *world {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	quiet := slog.New(slog.DiscardHandler)
	store, err := series.OpenTSDB(series.Config{Dir: t.TempDir(), Clock: s.Clock.Now, Logger: quiet})
	must(err)
	t.Cleanup(func() { must(store.Close()) })
	q, err := query.New(query.Deps{DB: s.DB, Store: store, Clock: s.Clock.Now, Logger: quiet})
	must(err)
	shell, err := ui.New(ui.Config{Apps: []ui.App{{Key: "metrics", Label: "Metrics"}}})
	must(err)
	memory := bus.NewMemory()
	t.Cleanup(func() { memory.Close() })
	w := &world{Stack: s}
	w.Module, err = New(Deps{DB: s.DB, UI: shell, Bus: memory, Store: store, Query: q, Access: s.Access, ByToken: s.Access.ByToken, Agents: t.TempDir(), Version: "v1.2.0",
		BaseURL: func() string { return accesstest.BaseURL }, Clock: s.Clock.Now, Logger: quiet})
	must(err)
	must(s.DB.Migrate(t.Context(), db.Module{Name: "query", Migrations: q.Migrations()}))
	must(s.DB.Migrate(t.Context(), db.Module{Name: "metrics", Migrations: w.Migrations()}))
	must(s.Mux.Add(w.Routes()...))
	_, w.ws, w.key = s.Owner(t, "ada@example.com", "Shop")
	w.person = s.Browser(t, "192.0.2.1").SignIn("ada@example.com")
	return w
}

func (w *world) path(p string) string { return "/w/" + string(w.ws) + p }

// call sends JSON to the API.
func (w *world) call(t testing.TB, method, path, key string, in, out any) int {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(method, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	rec := httptest.NewRecorder()
	w.Mux.ServeHTTP(rec, r)
	if out != nil && rec.Code < 300 {
		if err := json.Unmarshal(rec.Body.Bytes(), out); err != nil {
			t.Fatalf("%s: %v", rec.Body, err)
		}
	}
	return rec.Code
}

// sample is one value of a series at a time before now.
type sample struct {
	labels labels.Labels
	value  float64
	ago    time.Duration
}

// s makes a sample of now: metric{a="b"} value.
func s(value float64, pairs ...string) sample {

	return sample{labels: labels.FromStrings(append([]string{"__name__"}, pairs...)...), value: value}
}

func (x sample) before(d time.Duration) sample { x.ago = d; return x }

// send writes samples by remote write.
func (w *world) send(t testing.TB, key string, list ...sample) int {
	t.Helper()
	table := writev2.NewSymbolTable()
	var req writev2.Request
	for _, x := range list {
		req.Timeseries = append(req.Timeseries, writev2.TimeSeries{LabelsRefs: table.SymbolizeLabels(x.labels, nil),
			Samples: []writev2.Sample{{Value: x.value, Timestamp: w.Stack.Clock.Now().Add(-x.ago).UnixMilli()}}})
	}
	req.Symbols = table.Symbols()
	b, err := req.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("POST", agentapi.PathWrite, bytes.NewReader(s2.EncodeSnappy(nil, b)))
	r.Header.Set("Authorization", "Bearer "+key)
	r.Header.Set("Content-Type", "application/x-protobuf;proto=io.prometheus.write.v2.Request")
	rec := httptest.NewRecorder()
	w.Mux.ServeHTTP(rec, r)
	return rec.Code
}

// machine are the samples of a host that is well, over the last hours.
func (w *world) machine(instance string, used float64) (out []sample) {
	boot := float64(w.Stack.Clock.Now().Add(-48 * time.Hour).Unix())
	for minutes := 120; minutes >= 0; minutes -= 2 {
		ago := time.Duration(minutes) * time.Minute
		at := func(v float64, pairs ...string) {
			out = append(out, s(v, append(pairs, "instance", instance)...).before(ago))
		}
		at(1, "node_uname_info", "nodename", instance, "sysname", "Linux", "release", "6.12.1", "machine", "x86_64")
		at(boot, "node_boot_time_seconds")
		for cpu := range 2 {
			at(float64(120-minutes)*60*.9, "node_cpu_seconds_total", "mode", "idle", "cpu", fmt.Sprint(cpu))
			at(float64(120-minutes)*60*.1, "node_cpu_seconds_total", "mode", "user", "cpu", fmt.Sprint(cpu))
		}
		at(.4, "node_load5")
		at(16e9, "node_memory_MemTotal_bytes")
		at(12e9, "node_memory_MemAvailable_bytes")
		at(100e9, "node_filesystem_size_bytes", "mountpoint", "/", "device", "/dev/sda1", "fstype", "ext4")
		at((1-used)*100e9, "node_filesystem_avail_bytes", "mountpoint", "/", "device", "/dev/sda1", "fstype", "ext4")
	}
	return out
}

func agentHost(name string) agentapi.Host {
	return agentapi.Host{ID: "00112233445566778899aabbccddeeff", Instance: name, Name: name, OS: "linux", Platform: "Debian GNU/Linux 13", Kernel: "6.12.1", Arch: "amd64",
		Cores: 2, Memory: 16e9, BootTime: time.Date(2026, 2, 27, 0, 0, 0, 0, time.UTC).Unix(), Agent: "v1.2.0", Interval: 15, Labels: map[string]string{"env": "prod"}}
}

// actorAda is the owner, as the audit log knows her.
func actorAda(t testing.TB, w *world) audit.Actor {
	t.Helper()
	var id string
	if err := w.Stack.DB.QueryRow(t.Context(), `SELECT id FROM accounts WHERE email = 'ada@example.com'`).Scan(&id); err != nil {
		t.Fatal(err)
	}
	return audit.Actor{Kind: "account", ID: kernel.ID(id), Label: "ada@example.com"}
}
