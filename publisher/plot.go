package publisher

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/text"
)

// plot is one drawing of one or more series, with what a page says about it.
type plot struct {
	SVG     template.HTML
	Unit    string
	Caption string
	Legend  []string // names of the series, where there are several
	Gutter  int      // width of the widest vertical label, in characters
}

// Heights in pixels. Across, everything is placed in percent and the lines
// are stretched in a viewBox of their own, so that one drawing is crisp at
// any width and its text never scales.
const (
	plotHeight = 300
	plotTop    = 12
	plotInner  = 252
	plotAcross = 10000 // units of the inner viewBox
)

// plots draws the time series that a result holds.
func plots(result json.RawMessage) []plot {
	var list []plot
	for _, g := range group(findSeries(result)) {
		list = append(list, draw(g))
	}
	return list
}

// canvas maps times and values to places.
type canvas struct {
	x0, x1 float64 // seconds since 1970
	y      scale
	low    float64 // lowest and highest value, without the interval
	high   float64
	inner  int  // height of the drawing without its labels, in pixels
	local  bool // whether live.js may set the hours to the reader's own clock
	b      []byte
}

func draw(g []series) plot {
	c := fitted(g)
	ticks := c.y.ticks()
	p := plot{Unit: text.Line(g[0].unit, text.NameLimit), Caption: c.caption(g)}
	for _, t := range ticks {
		p.Gutter = max(p.Gutter, len([]rune(t.label)))
	}
	label := template.HTMLEscapeString(c.describe(g))
	c.add(`<svg class="plot" width="100%" height="`, strconv.Itoa(c.height()), `" role="img" aria-label="`, label, `">`)
	c.axes(ticks, spanTicks(c.x0, c.x1, g[0].offset))
	c.add(fmt.Sprintf(`<svg y="%d" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none" overflow="visible">`,
		plotTop, c.inner, plotAcross, c.inner))
	for i := range g {
		if len(g) > 1 {
			p.Legend = append(p.Legend, text.Line(g[i].name, text.NameLimit))
		}
		c.series(g[i].thin(), i)
	}
	c.add(`</svg></svg>`)
	p.SVG = template.HTML(c.b) //nolint:gosec // all text in it went through HTMLEscapeString
	return p
}

// fitted finds the ranges that hold all of a group, intervals included.
func fitted(g []series) *canvas {
	c := &canvas{x0: math.Inf(1), x1: math.Inf(-1), inner: plotInner, b: make([]byte, 0, 24<<10)}
	lo, hi := math.Inf(1), math.Inf(-1)
	c.low, c.high = lo, hi
	for _, s := range g {
		c.x0, c.x1 = min(c.x0, s.x[0]), max(c.x1, s.x[len(s.x)-1])
		c.low, c.high = widen(c.low, c.high, s.y)
		lo, hi = widen(lo, hi, s.lower)
		lo, hi = widen(lo, hi, s.upper)
	}
	c.y = newScale(min(lo, c.low), max(hi, c.high))
	return c
}

// widen stretches lo and hi to hold v; comparisons with NaN are false.
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

func (c *canvas) add(parts ...string) {
	for _, p := range parts {
		c.b = append(c.b, p...)
	}
}

func (c *canvas) across(x float64) float64 { return (x - c.x0) / (c.x1 - c.x0) }

// down is in pixels from the top of the inner drawing.
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
			t.rank, at*100, at*100, plotTop+c.inner, plotTop+c.inner+6, at*100, c.height()-14, anchor, c.clock(t), t.label))
	}
}

// clock lets a script translate a label that is a time of day.
func (c *canvas) clock(t tick) string {
	if !c.local || !strings.Contains(t.label, ":") {
		return ""
	}
	return ` data-at="` + time.Unix(int64(t.at), 0).UTC().Format(time.RFC3339) + `"`
}

// series draws the interval and the line. Missing values break both.
func (c *canvas) series(s series, color int) {
	n := strconv.Itoa(color)
	if s.lower != nil {
		c.add(`<path class="band c`, n, `" fill="currentColor" d="`)
		c.band(s)
		c.add(`"/>`)
	}
	c.add(`<path class="line c`, n, `" fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" d="`)
	c.runs(len(s.x), func(i int) bool { return math.IsNaN(s.y[i]) }, func(from, to int) { c.trace(s.x, s.y, from, to, 'M') })
	c.add(`"/>`)
}

// runs calls f for each stretch in which nothing is missing.
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
	if to == from+1 { // a lone value: a line of no length, which round caps show
		c.point(op, x[from], y[from])
	}
}

func (c *canvas) point(op byte, x, y float64) {
	c.b = append(c.b, op)
	c.b = strconv.AppendInt(c.b, int64(math.Round(c.across(x)*plotAcross)), 10)
	c.b = append(c.b, ' ')
	c.b = strconv.AppendFloat(c.b, c.down(y), 'f', 1, 64)
}

// caption says in words what the axes cannot: the whole span, its clock, the
// spacing and the extremes.
func (c *canvas) caption(g []series) string {
	offset := g[0].offset
	s := fmt.Sprintf("%s to %s %s", moment(c.x0, offset), moment(c.x1, offset), zoneName(offset))
	if every := g[0].every; every > 0 && every < 1e9 {
		s += ", every " + text.Duration(time.Duration(every*float64(time.Second)))
	}
	return fmt.Sprintf("%s. Lowest %s, highest %s.", s, c.amount(c.low, g[0].unit), c.amount(c.high, g[0].unit))
}

func (c *canvas) describe(g []series) string {
	names := make([]string, 0, len(g))
	for _, s := range g {
		if s.name != "" {
			names = append(names, text.Line(s.name, text.NameLimit))
		}
	}
	what := "Time series"
	if len(names) > 0 {
		what += " " + strings.Join(names, ", ")
	}
	if g[0].lower != nil {
		what += " with interval"
	}
	return what + ": " + c.caption(g)
}

func (c *canvas) amount(v float64, unit string) string {
	return strings.TrimSpace(c.y.format(v, 1) + " " + text.Line(unit, text.NameLimit))
}
