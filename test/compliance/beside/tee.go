package main

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"
)

// request is a remote-write request as it came from the sender.
type request struct {
	Header http.Header
	Body   []byte
}

// answer is what a server said to a request.
type answer struct {
	Status  int
	Written [3]string // samples, histograms, exemplars
	Text    string
}

func (a answer) retry() bool {
	return a.Status >= 500 || a.Status == http.StatusTooManyRequests || a.Status == 0
}

// tee gives each request to both servers, and keeps it in a file so that it can be sent again.
type tee struct {
	stock, kept server

	order    sync.Mutex // both get the requests in the same order, and so number series alike
	mu       sync.Mutex
	record   *gob.Encoder
	sent     int
	again    int
	differed int
}

func runTee(listen, file string, stock, kept server) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	t := &tee{stock: stock, kept: kept, record: gob.NewEncoder(f)}
	go func() {
		for range time.Tick(time.Minute) {
			t.report()
		}
	}()
	return http.ListenAndServe(listen, t)
}

func (t *tee) report() {
	t.mu.Lock()
	defer t.mu.Unlock()
	say("%d requests to both, %d to be sent again, %d answered differently", t.sent, t.again, t.differed)
}

func (t *tee) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	req := request{r.Header.Clone(), body}
	req.Header.Del("Authorization")
	a, b := t.both(req)
	switch {
	case a.retry() || b.retry():
		http.Error(w, "again", http.StatusServiceUnavailable)
		return
	case b.Status >= 400:
		http.Error(w, b.Text, b.Status)
		return
	}
	for i, name := range written {
		if b.Written[i] != "" {
			w.Header().Set(name, b.Written[i])
		}
	}
	w.WriteHeader(b.Status)
}

// both sends a request to the two servers, one after the other, and compares what they say.
func (t *tee) both(req request) (a, b answer) {
	t.order.Lock()
	defer t.order.Unlock()
	a, b = t.stock.write(req), t.kept.write(req)
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.retry() || b.retry() {
		t.again++
		say("to be sent again: stock %d %s, kept %d %s", a.Status, a.Text, b.Status, b.Text)
		return a, b
	}
	t.sent++
	if a.Status/100 != b.Status/100 || a.Written != b.Written {
		t.differed++
		say("answered differently: stock %d %v %s, kept %d %v %s", a.Status, a.Written, a.Text, b.Status, b.Written, b.Text)
	}
	if t.record != nil {
		if err := t.record.Encode(req); err != nil {
			say("the requests are not kept: %v", err)
			t.record = nil
		}
	}
	return a, b
}

// runReplay sends what a tee kept.
func runReplay(file string, stock, kept server) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	t, in := &tee{stock: stock, kept: kept}, gob.NewDecoder(f)
	for {
		var req request
		if err := in.Decode(&req); err == io.EOF || err == io.ErrUnexpectedEOF {
			t.report()
			return nil
		} else if err != nil {
			return err
		}
		for tries := 0; ; tries++ {
			if a, b := t.both(req); !a.retry() && !b.retry() {
				break
			}
			if tries == 60 {
				return fmt.Errorf("a server does not take a request")
			}
			time.Sleep(time.Second)
		}
	}
}

var written = [3]string{
	"X-Prometheus-Remote-Write-Samples-Written", "X-Prometheus-Remote-Write-Histograms-Written", "X-Prometheus-Remote-Write-Exemplars-Written",
}

func (s server) write(req request) (out answer) {
	r, err := http.NewRequest(http.MethodPost, s.url+"/api/v1/write", bytes.NewReader(req.Body))
	if err != nil {
		return answer{Text: err.Error()}
	}
	r.Header = req.Header.Clone()
	s.sign(r)
	res, err := client.Do(r)
	if err != nil {
		return answer{Text: err.Error()}
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
	out = answer{Status: res.StatusCode, Text: string(text)}
	for i, name := range written {
		out.Written[i] = res.Header.Get(name)
	}
	return out
}
