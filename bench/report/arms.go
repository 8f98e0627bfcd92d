package main

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// hue is a colour of the page, with a shade for each background. The plots are drawn
// in the light shade, which themed then replaces by a CSS variable of this name.
type hue struct{ name, light, dark string }

// hues come from Okabe and Ito's palette, moved until each has a contrast of 3:1 with
// the background (WCAG 1.4.11) and all can be told apart with protanopia and with
// deuteranopia: a test checks both. Arms differ by dash and glyph, too, so that no
// one has to tell them by colour alone.
var hues = []hue{
	{"bg", "#ffffff", "#14171b"},
	{"grid", "#dfe3e8", "#333941"},
	{"blue", "#0070b0", "#60abeb"},
	{"sky", "#2a94d0", "#96d2ff"},
	{"navy", "#06406b", "#2b85d4"},
	{"vermilion", "#de6737", "#ff863e"},
	{"orange", "#c18400", "#f5b631"},
	{"brown", "#853500", "#d2651c"},
	{"green", "#00845f", "#2aaf6d"},
	{"grey", "#53575d", "#a4afb2"},
	{"purple", "#b8437f", "#de7ec3"},
	{"pink", "#ce6ea4", "#f5b6d9"},
	{"plum", "#601547", "#ba5b95"},
	{"olive", "#77720c", "#e0da61"},
	{"teal", "#158f96", "#6aebf3"},
	{"violet", "#6f52d0", "#9d92ff"},
	{"sand", "#a68c60", "#cdb58f"},
	{"lime", "#649e40", "#76c149"},
}

func (h hue) color() color.NRGBA {
	c := color.NRGBA{A: 0xff}
	if _, err := fmt.Sscanf(h.light, "#%02x%02x%02x", &c.R, &c.G, &c.B); err != nil {
		panic(err)
	}
	return c
}

// hueOf panics for a name that isn't in the table: a misprint in this file.
func hueOf(name string) hue {
	i := slices.IndexFunc(hues, func(h hue) bool { return h.name == name })
	if i < 0 {
		panic("no hue " + name)
	}
	return hues[i]
}

// look is how an arm is drawn on all plots.
type look struct {
	hue   string
	ours  bool // a proactor of this library: drawn stronger
	glyph glyph
	dash  []vg.Length
	what  string
}

var (
	dashed = []vg.Length{5, 2.5}
	dotted = []vg.Length{1.5, 2}
	mixed  = []vg.Length{6, 2, 1.5, 2}
)

// looks of the arms that bench has. Arms that share a hue are never in one scenario.
var looks = map[string]look{
	"io_uring":          {"blue", true, circle, nil, "this library on io_uring"},
	"io_uring-each":     {"sky", true, triangle, nil, "the same, receiving into a pool that connections share"},
	"io_uring-busypoll": {"navy", true, square, nil, "the same, polling for completions"},
	"epoll":             {"vermilion", true, circle, nil, "this library on epoll"},
	"epoll-each":        {"orange", true, triangle, nil, "the same, receiving into a pool that connections share"},
	"epoll-busypoll":    {"brown", true, square, nil, "the same, polling for readiness"},

	"io_uring-workers": {"sky", true, triangle, nil, "this library on io_uring, slow handlers in workers"},
	"epoll-workers":    {"orange", true, triangle, nil, "this library on epoll, slow handlers in workers"},

	"group-1":      {"blue", true, circle, nil, "one loop of this library"},
	"group-2":      {"sky", true, triangle, nil, "two loops of this library"},
	"group-2-deal": {"navy", true, square, nil, "two loops, connections dealt out"},

	"io_uring-registered": {"sky", true, triangle, nil, "this library on io_uring, registered memory"},

	"net":     {"grey", false, square.outline(), dashed, "Go's net, a goroutine for each connection"},
	"net-2":   {"grey", false, square.outline(), dashed, "Go's net on two cores"},
	"ReadAt":  {"grey", false, square.outline(), dashed, "os.File.ReadAt in goroutines"},
	"reactor": {"green", false, plus, dashed, "a reactor on epoll"},

	"reactor-edge": {"teal", false, cross, dashed, "a reactor on epoll, edge-triggered"},
	"reactor-raw":  {"lime", false, diamond.outline(), dashed, "a reactor on epoll, with raw system calls"},
	"threads":      {"purple", false, circle.outline(), dotted, "a system thread for each connection"},
	"busypoll":     {"pink", false, triangle.outline(), mixed, "one goroutine that tries all connections in turn"},
	"select":       {"brown", false, diamond.outline(), dotted, "select(2)"},
	"poll":         {"plum", false, circle.outline(), mixed, "poll(2)"},
	"sigio":        {"olive", false, triangle.outline(), dotted, "signals of sockets, F_SETSIG"},
	"aio-poll":     {"sand", false, cross, mixed, "polls as requests of Linux AIO"},
	"aio":          {"olive", false, diamond.outline(), mixed, "Linux AIO, io_submit(2)"},
	"posix-aio":    {"teal", false, cross, dotted, "glibc's POSIX AIO, aio_read(3)"},

	"netpoll": {"olive", false, cross, mixed, "CloudWeGo's netpoll, a Go library"},
	"gnet":    {"teal", false, triangle.outline(), mixed, "gnet, a Go library"},
	"nbio":    {"violet", false, diamond.outline(), dashed, "nbio, a Go library"},
	"gaio":    {"sand", false, square.outline(), dotted, "gaio, a Go library"},
	"gain":    {"lime", false, circle.outline(), mixed, "gain, a Go library"},
	"gain-31": {"brown", false, square.outline(), dotted, "the same, at most 31 completions at a time"},

	"c-epoll":         {"plum", false, diamond.outline(), dotted, "a server in C on epoll"},
	"c-io_uring":      {"purple", false, circle.outline(), dashed, "a server in C on io_uring"},
	"c-io_uring+each": {"pink", false, triangle.outline(), dotted, "the same, receiving into a pool that connections share"},

	"fio":       {"purple", false, circle.outline(), dashed, "fio's io_uring engine"},
	"fio-fixed": {"pink", false, triangle.outline(), dotted, "the same, registered memory and files"},
}

// spare are the looks of arms that looks doesn't have, in turns.
var spare = []look{
	{"violet", false, square, dotted, ""},
	{"green", false, triangle, mixed, ""},
	{"plum", false, cross, dashed, ""},
	{"brown", false, plus, dotted, ""},
	{"grey", false, circle, mixed, ""},
}

// wardrobe has a look for each arm of a page.
type wardrobe map[string]look

// dress gives unknown arms their looks in the order of their names, so that the
// order of the files doesn't change them.
func dress(rs []*result) wardrobe {
	w := wardrobe{}
	var unknown []string
	for _, r := range rs {
		for _, a := range r.Arms {
			if l, ok := looks[a]; ok {
				w[a] = l
			} else if !slices.Contains(unknown, a) {
				unknown = append(unknown, a)
			}
		}
	}
	slices.SortFunc(unknown, cmp.Compare[string])
	for i, a := range unknown {
		w[a] = spare[i%len(spare)]
	}
	return w
}

func (l look) color() color.NRGBA { return hueOf(l.hue).color() }

func (l look) line() draw.LineStyle {
	if l.ours {
		return draw.LineStyle{Color: l.color(), Width: 2.6}
	}
	return draw.LineStyle{Color: l.color(), Width: 1.3, Dashes: l.dash}
}

func (l look) glyphStyle() draw.GlyphStyle {
	if l.ours {
		return draw.GlyphStyle{Color: l.color(), Radius: 4, Shape: l.glyph}
	}
	return draw.GlyphStyle{Color: l.color(), Radius: 3, Shape: l.glyph}
}

// armsOf are the arms of several scenarios, each once, in the order of the files.
func armsOf(rs []*result) []string {
	var arms []string
	for _, r := range rs {
		for _, a := range r.Arms {
			if !slices.Contains(arms, a) {
				arms = append(arms, a)
			}
		}
	}
	return arms
}

// hueCSS declares the hues as variables, for one of the backgrounds.
func hueCSS(dark bool) string {
	var b strings.Builder
	for _, h := range hues {
		shade := h.light
		if dark {
			shade = h.dark
		}
		fmt.Fprintf(&b, "--%s:%s;", h.name, shade)
	}
	return b.String()
}
