package ui

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// The colours of series stand out from the surface they are drawn on, and any two of them from each other, for people
// with and without the usual three kinds of cones. The matrices are those of Machado, Oliveira and Fernandes (2009).
func TestSeriesColours(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("assets/css/tokens.css")
	if err != nil {
		t.Fatal(err)
	}
	surface := regexp.MustCompile(`--surface: light-dark\((#\w{6}), (#\w{6})\)`).FindSubmatch(text)
	series := regexp.MustCompile(`--series-\d+: light-dark\((#\w{6}), (#\w{6})\)`).FindAllSubmatch(text, -1)
	if len(series) != 10 || surface == nil {
		t.Fatalf("%d colours", len(series))
	}
	sights := map[string][9]float64{
		"usual":        {1, 0, 0, 0, 1, 0, 0, 0, 1},
		"protanopia":   {.152286, 1.052583, -.204868, .114503, .786281, .099216, -.003882, -.048116, 1.051998},
		"deuteranopia": {.367322, .860646, -.227968, .280085, .672501, .047413, -.011820, .042940, .968881},
		"tritanopia":   {1.255528, -.076749, -.178779, -.078411, .930809, .147602, .004733, .691367, .303900},
	}
	for scheme, name := range map[int]string{1: "light", 2: "dark"} {
		ground := linear(t, string(surface[scheme]))
		for i, c := range series {
			if k := contrast(linear(t, string(c[scheme])), ground); k < 3 {
				t.Errorf("%s: colour %d has a contrast of %.2f", name, i+1, k)
			}
		}
		for sight, m := range sights {
			least, pair := math.Inf(1), ""
			for i := range series {
				for j := range i {
					d := distance(seen(m, linear(t, string(series[i][scheme]))), seen(m, linear(t, string(series[j][scheme]))))
					if d < least {
						least, pair = d, fmt.Sprintf("%d and %d", j+1, i+1)
					}
				}
			}
			t.Logf("%s, %s: the nearest are %s, %.1f apart", name, sight, pair, least)
			if least < 14 {
				t.Errorf("%s, %s: colours %s are only %.1f apart", name, sight, pair, least)
			}
		}
	}
}

func linear(t *testing.T, hex string) (c [3]float64) {
	t.Helper()
	for i := range c {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		v := float64(n) / 255
		if c[i] = v / 12.92; v > .04045 {
			c[i] = math.Pow((v+.055)/1.055, 2.4)
		}
	}
	return c
}

func luminance(c [3]float64) float64 { return .2126*c[0] + .7152*c[1] + .0722*c[2] }

func contrast(a, b [3]float64) float64 {
	x, y := luminance(a), luminance(b)
	return (max(x, y) + .05) / (min(x, y) + .05)
}

func seen(m [9]float64, c [3]float64) (out [3]float64) {
	for i := range out {
		out[i] = clamp(m[3*i]*c[0]+m[3*i+1]*c[1]+m[3*i+2]*c[2], 0, 1)
	}
	return out
}

// distance is that of CIE 1976 in L*a*b*.
func distance(a, b [3]float64) float64 {
	x, y := lab(a), lab(b)
	return math.Sqrt((x[0]-y[0])*(x[0]-y[0]) + (x[1]-y[1])*(x[1]-y[1]) + (x[2]-y[2])*(x[2]-y[2]))
}

func lab(c [3]float64) [3]float64 {
	f := func(v float64) float64 {
		if v > 216.0/24389 {
			return math.Cbrt(v)
		}
		return (24389.0/27*v + 16) / 116
	}
	x := f((.4124*c[0] + .3576*c[1] + .1805*c[2]) / .9505)
	y := f(luminance(c))
	z := f((.0193*c[0] + .1192*c[1] + .9505*c[2]) / 1.089)
	return [3]float64{116*y - 16, 500 * (x - y), 200 * (y - z)}
}
