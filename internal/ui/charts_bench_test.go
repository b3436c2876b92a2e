package ui_test

import (
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"
	"time"

	"github.com/kept-dev/kept/internal/ui"
	"github.com/kept-dev/kept/internal/ui/uitest"
)

// What a chart of 50 series with 1,000 points each costs in Chromium: to make from its text, to draw other numbers, and
// to follow the pointer.
func BenchmarkChartInChromium(b *testing.B) {
	u, err := ui.New(ui.Config{})
	if err != nil {
		b.Fatal(err)
	}
	pages := u.MustPages(fstest.MapFS{"p.html": {Data: []byte(`{{define "content"}}{{template "ui.chart" .}}{{end}}`)}}, "*.html")
	c := ui.Chart{ID: "c", Title: "Many", Height: 320}
	for i := range 1000 {
		c.At = append(c.At, time.Unix(1_795_000_000+int64(i)*15, 0))
	}
	for s := range 50 {
		v := make([]float64, len(c.At))
		for i := range v {
			v[i] = float64(s) + math.Sin(float64(i)/20+float64(s))
		}
		c.Series = append(c.Series, ui.Series{Label: fmt.Sprintf("series %d", s), Values: v})
	}
	mux := http.NewServeMux()
	mux.Handle(ui.AssetPrefix, u.Assets())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if err := pages.Render(w, r, http.StatusOK, "p", ui.Page{Title: "Bench", Body: c}); err != nil {
			b.Error(err)
		}
	})
	srv := httptest.NewServer(mux)
	defer srv.Close()
	page := uitest.Start(b).Open(b, srv.URL)
	page.Wait(b, `document.querySelector("kept-chart canvas")`)
	b.ResetTimer()
	var cost [3]float64
	for b.Loop() {
		got := uitest.Eval[[3]float64](b, page, `(async () => {
			const frame = () => new Promise(done => requestAnimationFrame(() => setTimeout(done)));
			const e = document.querySelector("kept-chart"), parent = e.parentElement, next = e.nextSibling, text = e.dataset.chart;
			const time = async f => { const t = performance.now(); f(); await Promise.resolve(); const took = performance.now() - t; await frame(); return took };
			e.remove(); await frame();
			const t = performance.now(); parent.insertBefore(e, next);
			while (!e.querySelector("canvas")) await new Promise(done => setTimeout(done));
			const made = performance.now() - t; await frame();
			const update = await time(() => { e.dataset.chart = text.replace("1795000000", "1794999999") });
			e.dataset.chart = text; await frame();
			const over = e.querySelector(".u-over"), r = over.getBoundingClientRect();
			over.dispatchEvent(new MouseEvent("mouseenter"));
			let move = 0;
			for (let i = 0; i < 50; i++) move += await time(() => over.dispatchEvent(new MouseEvent("mousemove", {clientX: r.x + i * 10, clientY: r.y + 60, bubbles: true})));
			return [made, update, move / 50];
		})()`)
		for i := range cost {
			cost[i] += got[i]
		}
	}
	for i, name := range []string{"ms/make", "ms/update", "ms/move"} {
		b.ReportMetric(cost[i]/float64(b.N), name)
	}
}
