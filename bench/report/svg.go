package main

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strconv"
	"strings"

	xfont "golang.org/x/image/font"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// plotWidth is the width that all plots are drawn for, in points. A phone shows them
// a little smaller, and text of 12 points can still be read there.
const plotWidth vg.Length = 430

var (
	regular = font.Font{Typeface: "Liberation", Variant: "Sans", Size: 12}
	bold    = font.Font{Typeface: "Liberation", Variant: "Sans", Weight: xfont.WeightBold, Size: 12}
)

// figure is a plot of the page.
type figure struct {
	Title   string
	Caption string
	SVG     template.HTML
}

// described is what a plot says to those who can't see it.
type described struct{ title, desc string }

// newPlot has no background, so that it lies on the page's.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Tick.Label.Font = regular
		a.Label.TextStyle.Font = regular
		a.Label.Padding = 8
		a.Padding = 2
		a.Tick.Length = 4
		a.Width = 0.8
		a.Tick.Width = 0.8
	}
	// A gap between ticks and labels; plot has no setting for it.
	p.X.Tick.Label.YAlign -= 0.25
	return p
}

// render draws a plot as SVG to be put into HTML.
func render(p *plot.Plot, height vg.Length, d described) (template.HTML, error) {
	c := vgsvg.New(plotWidth, height)
	// Margins: labels at the ends of the axes stick out by half their size.
	p.Draw(draw.Crop(draw.New(c), 1, -4, 1, -6))
	d = described{clean(d.title), clean(d.desc)}
	return inline(c, plotWidth, height, fmt.Sprintf("role=\"img\"><title>%s</title><desc>%s</desc>",
		html.EscapeString(d.title), html.EscapeString(d.desc)))
}

// swatch is an arm's line and glyph for legends, beside its name in the text.
func swatch(l look) (template.HTML, error) {
	const width, height = 34, 14
	c := vgsvg.New(width, height)
	dc := draw.New(c)
	dc.StrokeLine2(l.line(), 2, height/2, width-2, height/2)
	dc.DrawGlyphNoClip(l.glyphStyle(), vg.Point{X: width / 2, Y: height / 2})
	return inline(c, width, height, `class="swatch" aria-hidden="true">`)
}

var (
	styleAttribute = regexp.MustCompile(`style="[^"]*"`)
	hexColor       = regexp.MustCompile(`#[0-9A-F]{6}`)
	fontFamily     = regexp.MustCompile(`font-family:[^;"]*`)
)

// inline replaces what package vgsvg writes for a file of its own by what fits into
// a page: no XML declaration, a size that the page decides, and the page's colours.
// rest is the end of the opening tag, and what follows it.
func inline(c *vgsvg.Canvas, width, height vg.Length, rest string) (template.HTML, error) {
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	s := b.String()
	_, s, ok := strings.Cut(s[strings.Index(s, "<svg"):], ">")
	if !ok {
		return "", fmt.Errorf("draw plot: no <svg> in %.40q", s)
	}
	var failed error
	// Only attributes: quotes in text are escaped, so no text looks like one.
	s = styleAttribute.ReplaceAllStringFunc(s, func(style string) string {
		style = fontFamily.ReplaceAllString(style, "font-family:'Liberation Sans',Arimo,Arial,Helvetica,sans-serif")
		style = strings.NewReplacer("font-variant:normal;", "", "font-weight:normal;", "", "font-style:normal;", "").Replace(style)
		return hexColor.ReplaceAllStringFunc(style, func(hex string) string {
			v, err := themed(hex)
			if err != nil {
				failed = err
			}
			return v
		})
	})
	open := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" fill="currentColor" %s`, width.Points(), height.Points(), rest)
	return template.HTML(open + s), failed
}

// themed replaces a hue's light shade by the variable that has a shade for each
// background, and black by the colour of the text. Package vgsvg rounds colours
// down, hence the tolerance.
func themed(hex string) (string, error) {
	v, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		return "", err
	}
	c := color.NRGBA{R: uint8(v >> 16), G: uint8(v >> 8), B: uint8(v)}
	if near(c, color.NRGBA{}) {
		return "currentColor", nil
	}
	for _, h := range hues {
		if near(c, h.color()) {
			return "var(--" + h.name + ")", nil
		}
	}
	return "", fmt.Errorf("draw plot: colour %s isn't one of the hues", hex)
}

func near(a, b color.NRGBA) bool {
	close := func(x, y uint8) bool { return math.Abs(float64(x)-float64(y)) <= 1 }
	return close(a.R, b.R) && close(a.G, b.G) && close(a.B, b.B)
}
