package main

import (
	"image/color"
	"math"
	"testing"
)

// linear has a colour's red, green and blue as amounts of light.
func linear(c color.NRGBA) (rgb [3]float64) {
	for i, v := range []uint8{c.R, c.G, c.B} {
		rgb[i] = float64(v) / 255
		if rgb[i] <= 0.04045 {
			rgb[i] /= 12.92
		} else {
			rgb[i] = math.Pow((rgb[i]+0.055)/1.055, 2.4)
		}
	}
	return rgb
}

func luminance(c color.NRGBA) float64 {
	rgb := linear(c)
	return 0.2126*rgb[0] + 0.7152*rgb[1] + 0.0722*rgb[2]
}

type matrix3 [3][3]float64

func (m matrix3) times(v [3]float64) (out [3]float64) {
	for i, row := range m {
		out[i] = row[0]*v[0] + row[1]*v[1] + row[2]*v[2]
	}
	return out
}

// visions simulate how colours are seen (Machado, Oliveira and Fernandes 2009).
var visions = map[string]matrix3{
	"normal":       {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanopia":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranopia": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
}

// lab has a colour as it is seen in CIELAB, where distances are differences.
func lab(c color.NRGBA, vision matrix3) [3]float64 {
	rgb := vision.times(linear(c))
	for i := range rgb {
		rgb[i] = min(1, max(0, rgb[i]))
	}
	xyz := matrix3{{0.4124, 0.3576, 0.1805}, {0.2126, 0.7152, 0.0722}, {0.0193, 0.1192, 0.9505}}.times(rgb)
	for i, white := range []float64{0.9505, 1, 1.089} {
		if v := xyz[i] / white; v > 0.008856 {
			xyz[i] = math.Cbrt(v)
		} else {
			xyz[i] = 7.787*v + 16.0/116
		}
	}
	return [3]float64{116*xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])}
}

func shades(h hue) [2]color.NRGBA { return [2]color.NRGBA{h.color(), hue{light: h.dark}.color()} }

func TestHuesDifferForTheColourBlind(t *testing.T) {
	const least = 10
	for name, vision := range visions {
		for i, a := range hues {
			for _, b := range hues[:i] {
				for mode := range 2 {
					x, y := lab(shades(a)[mode], vision), lab(shades(b)[mode], vision)
					if d := math.Hypot(math.Hypot(x[0]-y[0], x[1]-y[1]), x[2]-y[2]); d < least {
						t.Errorf("%s and %s on background %d, %s: %.1f", a.name, b.name, mode, name, d)
					}
				}
			}
		}
	}
}

// WCAG 2.2, 1.4.11: graphical objects have a contrast of 3:1.
func TestHuesContrastWithBothBackgrounds(t *testing.T) {
	bg := shades(hueOf("bg"))
	for _, h := range hues {
		if h.name == "bg" || h.name == "grid" {
			continue
		}
		for i, c := range shades(h) {
			a, b := luminance(c)+0.05, luminance(bg[i])+0.05
			if r := max(a, b) / min(a, b); r < 3 {
				t.Errorf("%s on background %d: %.2f", h.name, i, r)
			}
		}
	}
}

func TestLooksUseHuesOfTheTable(t *testing.T) {
	for _, l := range looks {
		l.color()
	}
	for _, l := range spare {
		l.color()
	}
}

func TestAnArmLooksTheSameWhateverTheOrderOfTheFiles(t *testing.T) {
	a := &result{Arms: []string{"net", "mine"}}
	b := &result{Arms: []string{"net", "his"}}
	x, y := dress([]*result{a, b}), dress([]*result{b, a})
	for _, arm := range []string{"net", "mine", "his"} {
		if x[arm].hue != y[arm].hue || x[arm].glyph != y[arm].glyph {
			t.Errorf("%s changed", arm)
		}
	}
	if x["mine"].hue == x["his"].hue {
		t.Error("two arms share a hue")
	}
}

func TestArmsOfOneKindLookDifferent(t *testing.T) {
	kinds := [][]string{
		{"net", "reactor", "epoll", "io_uring", "epoll-each", "io_uring-each", "epoll-busypoll", "io_uring-busypoll",
			"c-epoll", "c-io_uring", "c-io_uring+each", "gnet", "nbio", "netpoll", "gaio", "gain"},
		{"net", "threads", "busypoll", "select", "poll", "sigio", "aio-poll", "reactor", "reactor-edge", "reactor-raw", "epoll", "io_uring"},
		{"net", "reactor", "epoll", "io_uring", "epoll-each", "io_uring-each",
			"c-epoll", "c-io_uring", "c-io_uring+each", "gnet", "nbio", "netpoll", "gaio", "gain", "gain-31"},
		{"net", "reactor", "epoll", "io_uring", "epoll-workers", "io_uring-workers"},
		{"group-1", "group-2", "group-2-deal", "net-2"},
		{"ReadAt", "io_uring", "io_uring-registered", "epoll", "aio", "fio", "fio-fixed", "posix-aio"},
	}
	for _, arms := range kinds {
		seen := map[string]string{}
		for _, a := range arms {
			l, ok := looks[a]
			if !ok {
				t.Errorf("no look for %s", a)
			} else if o := seen[l.hue]; o != "" {
				t.Errorf("%s and %s are %s", o, a, l.hue)
			}
			seen[l.hue] = a
		}
	}
}
