package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/kept-dev/kept/internal/platform/series"
)

// runBytes prints how much disk the two take for the same samples once they are in blocks: what is in memory is written to
// a copy, of the stock server by its admin API, of Kept (which must not run) by its own store.
func runBytes(stock server, stockDir, keptDir string) error {
	res, err := client.Post(stock.url+"/api/v1/admin/tsdb/snapshot", "", nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var made struct{ Data struct{ Name string } }
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("the snapshot of the stock server: %s, %w", res.Status, err)
	}
	if err := blocks("stock", filepath.Join(stockDir, "snapshots", made.Data.Name)); err != nil {
		return err
	}
	store, err := series.OpenTSDB(series.Config{Dir: filepath.Join(keptDir, "series")})
	if err != nil {
		return err
	}
	defer store.Close()
	all, err := store.Workspaces(context.Background())
	if err != nil {
		return err
	}
	for _, ws := range all {
		dir, err := os.MkdirTemp("", "blocks")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		if err := store.Snapshot(context.Background(), ws, filepath.Join(dir, "copy")); err != nil {
			return err
		}
		if err := blocks("kept", filepath.Join(dir, "copy")); err != nil {
			return err
		}
	}
	return nil
}

// blocks sums the blocks of a folder.
func blocks(name, dir string) error {
	var samples, size, chunks int64
	var from, to int64
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if size += info.Size(); filepath.Base(filepath.Dir(path)) == "chunks" {
			chunks += info.Size()
		}
		if d.Name() != "meta.json" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var meta struct {
			MinTime, MaxTime int64
			Stats            struct{ NumSamples int64 }
		}
		if err := json.Unmarshal(text, &meta); err != nil {
			return err
		}
		samples += meta.Stats.NumSamples
		if from == 0 || meta.MinTime < from {
			from = meta.MinTime
		}
		to = max(to, meta.MaxTime)
		return nil
	})
	if err != nil || samples == 0 {
		return fmt.Errorf("%s has no samples: %w", name, err)
	}
	span := time.Duration(to-from) * time.Millisecond
	fmt.Printf("%-6s %9d samples of %s in %8d bytes: %.3f bytes/sample, of which the index takes %.3f\n", name, samples, span.Round(time.Second), size,
		float64(size)/float64(samples), float64(size-chunks)/float64(samples))
	return nil
}
