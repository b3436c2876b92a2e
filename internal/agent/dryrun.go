package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/kept-dev/kept/internal/agent/host"
	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// DryRun measures everything once and writes exactly what a server would be sent: what the host is, and all series with
// their values. Nothing leaves the machine but the questions of probes and scrapes. Processor use of processes needs two
// looks, which are a second apart.
func DryRun(ctx context.Context, conf Config, out io.Writer) error {
	conf.fill()
	a := &Agent{conf: conf}
	a.host = host.New(a.hostOptions())
	defer a.host.Close()
	a.sources = a.plan()
	self, err := json.MarshalIndent(a.Describe(), "# ", "  ")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "# About this host, at the start and every five minutes:\n# %s\n#\n# Every %v, and some of it less often:\n", self, conf.Interval)
	var all []metric.Point
	for round := range 2 {
		for _, s := range a.sources {
			if round == 1 && !s.inline {
				continue // nobody is asked twice
			}
			s.set.Begin()
			s.collect(ctx, s.set)
			if round == 1 || !s.inline {
				all = append(all, s.set.End()...)
			}
		}
		if round == 0 {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	all = slices.DeleteFunc(all, func(p metric.Point) bool { return remotewrite.IsStale(p.Value) })
	return metric.WriteText(out, all)
}
