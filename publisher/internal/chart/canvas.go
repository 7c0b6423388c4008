// Package chart draws charts as SVG: time series from results, lines over a
// window, histograms and bars. All text in a drawing is escaped.
package chart

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"
)

// Heights are in pixels. Horizontal places are percentages, and lines are
// stretched in a viewBox of their own. So one drawing is sharp at any width, and
// its text keeps its size.
const (
	plotHeight = 300
	plotTop    = 12
	plotInner  = 252
	plotAcross = 10000 // units of the inner viewBox
)

// canvas writes an SVG and maps times and values to places in it.
type canvas struct {
	x0, x1 float64 // seconds since 1970
	y      scale
	low    float64 // lowest and highest value, without the interval
	high   float64
	inner  int  // height of the drawing without its labels, in pixels
	local  bool // whether live.js may show times of day in the reader's time zone
	b      []byte
}

func (c *canvas) add(parts ...string) {
	for _, p := range parts {
		c.b = append(c.b, p...)
	}
}

// html returns the drawing.
func (c *canvas) html() template.HTML {
	return template.HTML(c.b) //nolint:gosec // all text in it went through HTMLEscapeString
}

// open begins the drawing. label describes it to readers who do not see it.
func (c *canvas) open(label string) {
	c.add(`<svg class="plot" width="100%" height="`, strconv.Itoa(c.height()), `" role="img" aria-label="`, template.HTMLEscapeString(label), `">`)
}

// openLines begins the part that holds the lines. height is that of its viewBox.
func (c *canvas) openLines(height int) {
	c.add(fmt.Sprintf(`<svg y="%d" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none" overflow="visible">`,
		plotTop, c.inner, plotAcross, height))
}

// across returns the horizontal place of x, from 0 to 1.
func (c *canvas) across(x float64) float64 { return (x - c.x0) / (c.x1 - c.x0) }

// down returns the vertical place of y, in pixels from the top of the inner part.
func (c *canvas) down(y float64) float64 {
	return (1 - (y-c.y.lo)/(c.y.hi-c.y.lo)) * float64(c.inner)
}

func (c *canvas) height() int { return c.inner + plotHeight - plotInner }

func (c *canvas) axes(values, times []tick) {
	for _, t := range values {
		y := c.down(t.at) + plotTop
		c.add(fmt.Sprintf(`<line class="grid" stroke="currentColor" x2="100%%" y1="%.1f" y2="%.1f"/><text x="-10" y="%.1f" text-anchor="end">%s</text>`, y, y, y+4, t.label))
	}
	for _, t := range times {
		at, anchor := c.across(t.at), "middle"
		if at > 0.96 {
			anchor = "end"
		}
		c.add(fmt.Sprintf(`<g class="r%d"><line class="grid" stroke="currentColor" x1="%.2f%%" x2="%.2f%%" y1="%d" y2="%d"/><text x="%.2f%%" y="%d" text-anchor="%s"%s>%s</text></g>`,
			t.rank, at*100, at*100, plotTop+c.inner, plotTop+c.inner+6, at*100, c.height()-14, anchor, c.localTime(t), t.label))
	}
}

// localTime returns the attribute with which a script translates a time of day.
func (c *canvas) localTime(t tick) string {
	if !c.local || !strings.Contains(t.label, ":") {
		return ""
	}
	return ` data-at="` + time.Unix(int64(t.at), 0).UTC().Format(time.RFC3339) + `"`
}

// series draws the interval and the line. A missing value interrupts both.
func (c *canvas) series(s series, color int) {
	n := strconv.Itoa(color)
	if s.lower != nil {
		c.add(`<path class="band c`, n, `" fill="currentColor" d="`)
		c.band(s)
		c.add(`"/>`)
	}
	c.openLine(color)
	c.runs(len(s.x), func(i int) bool { return math.IsNaN(s.y[i]) }, func(from, to int) { c.trace(s.x, s.y, from, to, 'M') })
	c.add(`"/>`)
}

// openLine begins the path of a line of a colour.
func (c *canvas) openLine(color int) {
	c.add(`<path class="line c`, strconv.Itoa(color), `" fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" d="`)
}

// runs calls f for each stretch of values without a missing one.
func (c *canvas) runs(n int, missing func(int) bool, f func(from, to int)) {
	for from := 0; from < n; from++ {
		to := from
		for to < n && !missing(to) {
			to++
		}
		if to > from {
			f(from, to)
			from = to
		}
	}
}

func (c *canvas) band(s series) {
	missing := func(i int) bool { return math.IsNaN(s.lower[i]) || math.IsNaN(s.upper[i]) }
	c.runs(len(s.x), missing, func(from, to int) {
		c.trace(s.x, s.upper, from, to, 'M')
		for i := to - 1; i >= from; i-- {
			c.point('L', s.x[i], s.lower[i])
		}
		c.b = append(c.b, 'Z')
	})
}

func (c *canvas) trace(x, y []float64, from, to int, op byte) {
	for i := from; i < to; i++ {
		c.point(op, x[i], y[i])
		op = 'L'
	}
	if to == from+1 { // a single value: a line of no length, which round caps show
		c.point(op, x[from], y[from])
	}
}

func (c *canvas) point(op byte, x, y float64) {
	c.b = append(c.b, op)
	c.b = strconv.AppendInt(c.b, int64(math.Round(c.across(x)*plotAcross)), 10)
	c.b = append(c.b, ' ')
	c.b = strconv.AppendFloat(c.b, c.down(y), 'f', 1, 64)
}

// widen extends the range from lo to hi so that it holds v. It ignores NaN.
func widen(lo, hi float64, v []float64) (float64, float64) {
	for _, f := range v {
		if f < lo {
			lo = f
		}
		if f > hi {
			hi = f
		}
	}
	return lo, hi
}
