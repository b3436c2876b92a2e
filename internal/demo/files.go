package demo

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/riverqueue/river"
	"golang.org/x/image/draw"

	kept "github.com/kept-dev/kept/sdk/go"
	"github.com/kept-dev/kept/sdk/go/keptriver"
)

const (
	uploads = 16
	photos  = 6
)

func uploadName(i int) string { return fmt.Sprintf("customers-%03d.csv", i%uploads) }
func photoName(i int) string  { return fmt.Sprintf("product-%02d.png", i%photos) }

// writeUploads writes lists of customers. In every fourth one a line is broken.
func writeUploads(dir string) error {
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range uploads {
		var b []byte
		for line := range 200 + rng.IntN(2000) {
			amount := strconv.Itoa(rng.IntN(100000))
			if i%4 == 3 && line == 137 {
				amount = "12,50 €"
			}
			b = fmt.Appendf(b, "%d;%s;%s\n", 9007199254740993+int64(line), people[rng.IntN(len(people))].mail, amount)
		}
		if err := os.WriteFile(filepath.Join(dir, uploadName(i)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func writePhotos(dir string) error {
	for i := range photos {
		img := image.NewRGBA(image.Rect(0, 0, 480, 320))
		for y := range 320 {
			for x := range 480 {
				img.SetRGBA(x, y, color.RGBA{uint8(x * (i + 1) / 4), uint8(y), uint8((x ^ y) + 40*i), 255})
			}
		}
		f, err := os.Create(filepath.Join(dir, photoName(i)))
		if err != nil {
			return err
		}
		if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

type hashFile struct {
	File string `json:"file"`
}

func (hashFile) Kind() string { return "hash-upload" }

func (d *Demo) hashFile(ctx context.Context, job *river.Job[hashFile]) error {
	f, err := os.Open(filepath.Join(d.files, "uploads", filepath.Base(job.Args.File)))
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return err
	}
	return river.RecordOutput(ctx, map[string]any{"bytes": n, "sha256": hex.EncodeToString(h.Sum(nil))})
}

type makeThumbnail struct {
	Photo string `json:"photo"`
	Width int    `json:"width"`
}

func (makeThumbnail) Kind() string { return "make-thumbnail" }

func (makeThumbnail) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: "media", MaxAttempts: 3}
}

func (d *Demo) makeThumbnail(ctx context.Context, job *river.Job[makeThumbnail]) error {
	f, err := os.Open(filepath.Join(d.files, "photos", filepath.Base(job.Args.Photo)))
	if err != nil {
		return err
	}
	src, err := png.Decode(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	w := min(max(job.Args.Width, 16), 320)
	dst := image.NewRGBA(image.Rect(0, 0, w, w*src.Bounds().Dy()/src.Bounds().Dx()))
	draw.ApproxBiLinear.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
	out, err := os.Create(filepath.Join(d.files, "thumbnails", fmt.Sprintf("%d-%s", w, filepath.Base(job.Args.Photo))))
	if err != nil {
		return err
	}
	if err := errors.Join(png.Encode(out, dst), out.Close()); err != nil {
		return err
	}
	return river.RecordOutput(ctx, map[string]any{"width": w, "height": dst.Bounds().Dy(), "file": filepath.Base(out.Name())})
}

type importCustomers struct {
	File      string `json:"file"`
	Delimiter string `json:"delimiter"`
}

func (importCustomers) Kind() string { return "import-customers" }

func (importCustomers) InsertOpts() river.InsertOpts { return river.InsertOpts{MaxAttempts: 2} }

// importCustomers reads a list; a broken one fails with the place of the mistake.
func (d *Demo) importCustomers(ctx context.Context, job *river.Job[importCustomers]) error {
	f, err := os.Open(filepath.Join(d.files, "uploads", filepath.Base(job.Args.File)))
	if err != nil {
		return err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma = ';'
	var customers, cents int
	for {
		row, err := r.Read()
		if err == io.EOF {
			keptriver.Log(ctx, "list read", map[string]any{"customers": customers})
			return river.RecordOutput(ctx, map[string]any{"customers": customers, "cents": cents})
		}
		if err != nil {
			return err
		}
		amount, err := parseAmount(row[2])
		if err != nil {
			return fmt.Errorf("%s, line %d: %w", job.Args.File, customers+1, err)
		}
		customers++
		cents += amount
	}
}

func parseAmount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	return n, kept.WithStack(err)
}

type exportArchive struct {
	Reason string `json:"reason"`
	Files  int    `json:"files"`
}

func (exportArchive) Kind() string { return "export-archive" }

// exportArchive packs all uploads, slowly enough to be watched.
func (d *Demo) exportArchive(ctx context.Context, job *river.Job[exportArchive]) error {
	out, err := os.Create(filepath.Join(d.files, "exports", fmt.Sprintf("export-%d.tar.gz", job.ID%8)))
	if err != nil {
		return err
	}
	defer out.Close()
	zip := gzip.NewWriter(out)
	archive := tar.NewWriter(zip)
	for i := range uploads {
		raw, err := os.ReadFile(filepath.Join(d.files, "uploads", uploadName(i)))
		if err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: uploadName(i), Mode: 0o600, Size: int64(len(raw))}); err != nil {
			return err
		}
		if _, err := archive.Write(raw); err != nil {
			return err
		}
		keptriver.Progress(ctx, 100*(i+1)/uploads)
		if i%4 == 0 {
			keptriver.Log(ctx, "packed "+uploadName(i), map[string]any{"bytes": len(raw), "file": i + 1, "of": uploads})
		}
		if err := wait(ctx, 400*time.Millisecond); err != nil {
			return err
		}
	}
	if err := errors.Join(archive.Close(), zip.Close()); err != nil {
		return err
	}
	info, err := out.Stat()
	if err != nil {
		return err
	}
	return river.RecordOutput(ctx, map[string]any{"bytes": info.Size(), "files": uploads})
}

type rollup struct {
	Folder string `json:"folder"`
}

func (rollup) Kind() string { return "count-storage" }

func (d *Demo) rollup(ctx context.Context, _ *river.Job[rollup]) error {
	var files, bytes int64
	err := filepath.Walk(d.files, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			files++
			bytes += info.Size()
		}
		return err
	})
	if err != nil {
		return err
	}
	return river.RecordOutput(ctx, map[string]any{"files": files, "bytes": bytes})
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
