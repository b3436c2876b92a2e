// Command beside compares a Kept server with a stock Prometheus that was sent the same bytes: see ../beside-prometheus.sh.
//
//	beside tee     LISTEN FILE   takes remote write, gives each request to both and keeps it in the file
//	beside replay  FILE          sends what a tee kept to both
//	beside bytes   DIR DIR       tells how much disk the samples take, in the data directories of the stock server and of Kept
//	beside demo                  writes two hours of the metrics that the PromQL compliance tester asks for to both
//	beside compare               asks both the same questions and compares the answers byte for byte
//
// STOCK and KEPT are the addresses below which the servers have /api/v1, KEY is a key of Kept's.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// server is one of the two.
type server struct{ url, key string }

var client = &http.Client{Timeout: 2 * time.Minute}

func (s server) sign(r *http.Request) {
	if s.key != "" {
		r.Header.Set("Authorization", "Bearer "+s.key)
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		say("%v", err)
		os.Exit(1)
	}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}

func run(args []string) error {
	stock, kept := server{url: os.Getenv("STOCK")}, server{os.Getenv("KEPT"), os.Getenv("KEY")}
	switch {
	case len(args) == 3 && args[0] == "tee":
		return runTee(args[1], args[2], stock, kept)
	case len(args) == 2 && args[0] == "replay":
		return runReplay(args[1], stock, kept)
	case len(args) == 1 && args[0] == "demo":
		return runDemo(stock, kept)
	case len(args) == 3 && args[0] == "bytes":
		return runBytes(stock, args[1], args[2])
	case len(args) == 1 && args[0] == "compare":
		return runCompare(stock, kept)
	}
	return errors.New("usage: beside tee LISTEN FILE | replay FILE | bytes STOCK KEPT | demo | compare")
}
