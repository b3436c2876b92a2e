package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/kept-dev/kept/internal/agent/expo"
	"github.com/kept-dev/kept/internal/agent/metric"
	"github.com/kept-dev/kept/wire/remotewrite"
)

// accept asks for what we read. Programs that know it answer with OpenMetrics, which has exemplars.
const accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"

// instanceOf is the label of a target: its host and port, with this host's name where it says "here", for every host has
// one of those.
func (a *Agent) instanceOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	name, port := u.Hostname(), u.Port()
	if ip := net.ParseIP(name); name == "localhost" || ip != nil && ip.IsLoopback() {
		name = a.conf.Instance
	}
	if port == "" {
		return name
	}
	return net.JoinHostPort(name, port)
}

func (a *Agent) scrapeClient(t Target) *http.Client {
	if a.conf.Transport != nil {
		return &http.Client{Timeout: t.Timeout, Transport: a.conf.Transport}
	}
	return &http.Client{
		Timeout: t.Timeout,
		Transport: &http.Transport{
			DialContext:  (&net.Dialer{Timeout: t.Timeout}).DialContext,
			MaxIdleConns: 1, IdleConnTimeout: max(90*time.Second, 2*t.Every),
			WriteBufferSize: 1 << 10,
		},
	}
}

// scraper reads one target.
type scraper struct {
	target Target
	client *http.Client
	reader expo.Reader
}

func report(name, help string) *metric.Desc {
	return &metric.Desc{Name: name, Help: help, Type: remotewrite.Gauge}
}

// What Prometheus adds to each scrape, under the same names.
var (
	descUp       = report("up", "1 if the target could be read, 0 otherwise.")
	descDuration = report("scrape_duration_seconds", "How long reading the target took.")
	descScraped  = report("scrape_samples_scraped", "How many samples the target exposed.")
)

func (s *scraper) collect(ctx context.Context, set *metric.Set) {
	start := time.Now()
	count, err := s.read(ctx, set)
	if err != nil {
		set.Discard() // part of an answer would look as if the rest had ended
		count = 0
	}
	up := 1.0
	if err != nil {
		up = 0
	}
	set.Add(descUp, up)
	set.Add(descDuration, time.Since(start).Seconds())
	set.Add(descScraped, float64(count))
}

func (s *scraper) read(ctx context.Context, set *metric.Set) (count int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.target.URL, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept", accept)
	request.Header.Set("User-Agent", "kept-agent")
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", strconv.FormatFloat(s.target.Timeout.Seconds(), 'f', -1, 64))
	answer, err := s.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %d", answer.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(answer.Body, expo.MaxBytes+1))
	if err != nil {
		return 0, err
	}
	open := strings.HasPrefix(answer.Header.Get("Content-Type"), "application/openmetrics-text")
	err = s.reader.Read(string(body), open, func(one expo.Sample) error {
		count++
		set.AddWith(one.Desc, one.Value, one.Exemplar, one.Labels...)
		return nil
	})
	if err == nil && set.Over() > 0 {
		err = errors.New("too many series")
	}
	return count, err
}
