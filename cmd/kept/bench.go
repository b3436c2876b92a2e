package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"text/tabwriter"
	"time"

	"github.com/kept-dev/kept/internal/bench"
	"github.com/kept-dev/kept/internal/platform/config"
)

type benchCmd struct {
	Jobs    benchJobsCmd    `cmd:"" help:"Measure job ingest, lists and searches, on a temporary directory."`
	Metrics benchMetricsCmd `cmd:"" help:"Measure the intake of metrics, beside a stock Prometheus, and their store."`
}

type benchJobsCmd struct {
	Database config.Secret `help:"Measure on PostgreSQL in place of SQLite; the database should be empty." secret:"true" placeholder:"URL"`
	Clients  int           `help:"HTTP clients at a time, as agents each with one request under way." default:"64"`
	Batch    int           `help:"Events per request." default:"100"`
	Duration time.Duration `help:"Time to send flat out, and again at half load." default:"10s"`
	Fill     int           `help:"How many jobs there are when lists and searches are timed." default:"1000000" placeholder:"JOBS"`
	Profile  string        `help:"Write a profile of the processor time of all phases." placeholder:"FILE"`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run prints what it measures; progress goes to standard error.
func (c *benchJobsCmd) Run(ctx context.Context, w out) error {
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	res, err := bench.Jobs(ctx, bench.Options{Database: c.Database.Text(), Clients: c.Clients, Batch: c.Batch, Duration: c.Duration, Jobs: c.Fill,
		Tell: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }})
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(res)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "events acknowledged\t%.0f/s\tdurable before the answer, %s, %d processors, client included\n", res.Acknowledged, res.Database, res.CPUs)
	fmt.Fprintf(t, "events visible\t%.0f/s\tuntil the last one of the same load could be listed\n", res.Visible)
	fmt.Fprintf(t, "decode and discard\t%.0f/s\tthe same server without storing\n", res.DecodeOnly)
	fmt.Fprintf(t, "ratio\t%.0f %%\tmedian of the rounds\n", res.Ratio*100)
	fmt.Fprintf(t, "answer, flat out\tp50 %.1f ms\tp99 %.1f ms\n", res.AnswerP50, res.AnswerP99)
	fmt.Fprintf(t, "answer, half load\tp50 %.1f ms\tp99 %.1f ms\n", res.HalfLoadP50, res.HalfLoadP99)
	fmt.Fprintf(t, "to screen, half load\t\tp99 %.1f ms\n", res.HalfLoadVisible)
	fmt.Fprintf(t, "on disk\t%.1f bytes/event\t%.0f bytes/event were sent; %d events of %d jobs\n", res.BytesPerEvent, res.BytesSent, res.Events, res.Jobs)
	fmt.Fprintf(t, "memory\t%.0f MB\tpeak, clients included\n", float64(res.PeakRSS)/1e6)
	for _, q := range res.Questions {
		fmt.Fprintf(t, "%s\tp95 %.1f ms\t\n", q.Question, q.P95)
	}
	return t.Flush()
}

type benchMetricsCmd struct {
	Peer       string        `help:"A stock Prometheus to send the same to, in turns; without it its handler and database are run in this process." placeholder:"PROGRAM"`
	Clients    int           `help:"HTTP clients at a time." default:"8"`
	Hosts      int           `help:"Hosts that send." default:"40"`
	Series     int           `help:"Series of each host, which make one request." default:"532"`
	Duration   time.Duration `help:"Time to send, to each of the two." default:"20s"`
	Old        bool          `help:"Send remote write 1.0 in place of 2.0, for a peer that knows no other."`
	Workspaces int           `help:"Workspaces that are opened and closed." default:"1000"`
	JSON       bool          `name:"json" help:"Print JSON."`
}

// Run prints what it measures; progress goes to standard error.
func (c *benchMetricsCmd) Run(ctx context.Context, w out) error {
	res, err := bench.Metrics(ctx, bench.MetricOptions{Peer: c.Peer, Clients: c.Clients, Hosts: c.Hosts, Series: c.Series, Duration: c.Duration,
		Old: c.Old, Workspaces: c.Workspaces, Tell: func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }})
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(res)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "samples over HTTP\t%.0f/s\tp50 %.1f ms, p99 %.1f ms; %d processors, clients included\n", res.Samples, res.AnswerP50, res.AnswerP99, res.CPUs)
	fmt.Fprintf(t, "%s\t%.0f/s\tp50 %.1f ms, p99 %.1f ms\n", res.Peer, res.PeerRate, res.PeerP50, res.PeerP99)
	fmt.Fprintf(t, "ratio\t%.0f %%\tmedian of the rounds\n", res.Ratio*100)
	fmt.Fprintf(t, "samples into the store\t%.0f/s\tone writer, a thousand series\n", res.StoreRate)
	fmt.Fprintf(t, "on disk\t%.2f bytes/sample\taligned timestamps, a day of a thousand series, index included\n", res.PerSample)
	fmt.Fprintf(t, "open workspace\t%.0f kB\tresident, of %d with ten series each; opened in %.1f ms\n", res.OpenBytes/1e3, res.Workspaces, res.OpenMillis)
	fmt.Fprintf(t, "idle workspace\t%.0f kB\tresident, of the same after they were closed\n", res.ClosedBytes/1e3)
	fmt.Fprintf(t, "restart\t%.1f ms\twith %d workspaces on disk; %.1f ms for the first use of each\n", res.Restart, res.Workspaces, res.FirstUse)
	return t.Flush()
}
