package main

import (
	"math"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// glyph is a mark on a plot. The glyphs of package draw have hairlines for outlines,
// and one sees the lines behind through them.
type glyph struct {
	corners int     // of a regular polygon; 0 is a circle
	turn    float64 // of the first corner, from the right, counter-clockwise
	cross   bool    // strokes from the middle to the corners
	hollow  bool    // an outline, filled with the background
}

var (
	circle   = glyph{}
	triangle = glyph{corners: 3, turn: math.Pi / 2}
	square   = glyph{corners: 4, turn: math.Pi / 4}
	diamond  = glyph{corners: 4}
	plus     = glyph{corners: 4, cross: true}
	cross    = glyph{corners: 4, turn: math.Pi / 4, cross: true}
)

func (g glyph) outline() glyph {
	g.hollow = true
	return g
}

// DrawGlyph implements draw.GlyphDrawer.
func (g glyph) DrawGlyph(c *draw.Canvas, sty draw.GlyphStyle, pt vg.Point) {
	line := draw.LineStyle{Color: sty.Color, Width: 1.4}
	if g.cross {
		for _, p := range g.points(sty.Radius, pt) {
			c.StrokeLine2(line, pt.X, pt.Y, p.X, p.Y)
		}
		return
	}
	path := g.path(sty.Radius, pt)
	if !g.hollow {
		c.Fill(path)
		return
	}
	c.SetColor(hueOf("bg").color())
	c.Fill(path)
	c.SetLineStyle(line)
	c.Stroke(path)
}

func (g glyph) path(radius vg.Length, pt vg.Point) vg.Path {
	var path vg.Path
	if g.corners == 0 {
		path.Move(vg.Point{X: pt.X + radius, Y: pt.Y})
		path.Arc(pt, radius, 0, 2*math.Pi)
	}
	for i, p := range g.points(radius, pt) {
		if i == 0 {
			path.Move(p)
			continue
		}
		path.Line(p)
	}
	path.Close()
	return path
}

// points are the corners, on a circle a little larger than the glyph's, so that a
// polygon looks as large as a circle.
func (g glyph) points(radius vg.Length, pt vg.Point) []vg.Point {
	points := make([]vg.Point, g.corners)
	for i := range points {
		sin, cos := math.Sincos(g.turn + 2*math.Pi*float64(i)/float64(g.corners))
		points[i] = vg.Point{X: pt.X + 1.2*radius*vg.Length(cos), Y: pt.Y + 1.2*radius*vg.Length(sin)}
	}
	return points
}
