package uitest

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestClickHitsWhatMoves: a row that others push away while it is aimed at is clicked, and none of the others is.
func TestClickHitsWhatMoves(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!doctype html><html lang="en"><title>x</title><ul><li><button id="mine">mine</button></ul><label for="box">box<input id="box" type="checkbox" style="opacity:0"></label>
<script>
window.hit = { mine: 0, other: 0 };
addEventListener("click", (e) => window.hit[e.target.id === "mine" ? "mine" : "other"]++);
const list = document.querySelector("ul");
let n = 0;
const more = () => {
	const row = document.createElement("li");
	row.append(document.createElement("button"));
	list.prepend(row);
	if (++n < 40) setTimeout(more, 15 + n % 3 * 25);
};
more();
</script>`))
	}))
	t.Cleanup(srv.Close)
	b := Start(t)
	for range 5 {
		page := b.Open(t, srv.URL)
		page.Click(t, "#mine")
		if got := Eval[map[string]int](t, page, "window.hit"); got["mine"] != 1 || got["other"] != 0 {
			t.Fatalf("clicked %v", got)
		}
		page.Click(t, "#box")
		if !Eval[bool](t, page, `document.querySelector("#box").checked`) {
			t.Error("the box in its label was not clicked")
		}
	}
}
