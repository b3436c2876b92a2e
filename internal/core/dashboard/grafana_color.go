package dashboard

import (
	"math"
	"strings"

	"github.com/kept-dev/kept/internal/ui"
)

// hues are what our colours look like, in the middle between the light and the dark scheme.
var hues = map[string][3]float64{
	"blue": {33, 123, 235}, "orange": {225, 120, 40}, "teal": {30, 150, 120}, "pink": {212, 86, 152}, "yellow": {225, 190, 50}, "sky": {100, 180, 235},
	"purple": {145, 90, 185}, "brown": {130, 90, 50}, "green": {120, 185, 90}, "grey": {130, 138, 150}, "red": {220, 70, 60},
}

// huesOfGrafana are the names of its colours, without dark-, light- and the like.
var huesOfGrafana = map[string][3]float64{
	"red": {242, 73, 92}, "orange": {255, 152, 48}, "yellow": {250, 222, 42}, "green": {115, 191, 105}, "blue": {87, 148, 242}, "purple": {184, 119, 217},
	"grey": {128, 128, 128}, "gray": {128, 128, 128},
}

// color is the one of ours that is most like one of Grafana's and that the panel does not use yet for another. White, black
// and "text" have none.
func (im *importer) color(c string) string {
	c = strings.ToLower(strings.TrimSpace(c))
	if had, ok := im.tints[c]; ok {
		return had
	}
	want, ok := huesOfGrafana[c]
	if i := strings.LastIndex(c, "-"); !ok && i >= 0 {
		if want, ok = huesOfGrafana[c[i+1:]]; ok && strings.Contains(c, "dark") {
			want = [3]float64{want[0] * .75, want[1] * .7, want[2] * .7}
		}
	}
	if !ok {
		want[0], want[1], want[2], ok = rgb(c)
	}
	if !ok || min(want[0], want[1], want[2]) > 240 || max(want[0], want[1], want[2]) < 20 {
		return ""
	}
	if top := max(want[0], want[1], want[2]); top < 160 { // ours are never that dark: compare the hue
		for i := range want {
			want[i] *= 200 / top
		}
	}
	used := map[string]bool{}
	for _, name := range im.tints {
		used[name] = true
	}
	best, least := "", math.Inf(1)
	for _, name := range ui.ColorNames() {
		d := apart(want, hues[name])
		if used[name] && len(used) < len(hues) {
			d += 1e6
		}
		if d < least {
			best, least = name, d
		}
	}
	im.tints[c] = best
	return best
}

// apart is how different two colours look; hue counts more than brightness.
func apart(a, b [3]float64) float64 {
	mean := (a[0] + b[0]) / 2
	r, g, bl := a[0]-b[0], a[1]-b[1], a[2]-b[2]
	light := (a[0] + a[1] + a[2] - b[0] - b[1] - b[2]) / 3
	return (2+mean/256)*r*r + 4*g*g + (2+(255-mean)/256)*bl*bl - 6*light*light
}
