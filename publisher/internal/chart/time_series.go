package chart

import (
	"encoding/json"
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/runnerbean/runnerbean/internal/text"
)

// TimeSeries is a drawing of one or more series, with the text around it.
type TimeSeries struct {
	SVG     template.HTML
	Unit    string
	Caption string
	Legend  []string // names of the series; empty for a single one
	Gutter  int      // width of the widest vertical label, in characters
}

// OfResult draws the time series in a result. Series of the same unit at about
// the same time share a drawing.
func OfResult(result json.RawMessage) []TimeSeries {
	var list []TimeSeries
	for _, g := range group(findSeries(result)) {
		list = append(list, draw(g))
	}
	return list
}

func draw(g []series) TimeSeries {
	c := fitted(g)
	ticks := c.y.ticks()
	p := TimeSeries{Unit: text.Line(g[0].unit, text.NameLimit), Caption: c.caption(g), Gutter: gutter(ticks)}
	c.open(c.describe(g))
	c.axes(ticks, timeTicks(c.x0, c.x1, g[0].offset))
	c.openLines(c.inner)
	for i := range g {
		if len(g) > 1 {
			p.Legend = append(p.Legend, text.Line(g[i].name, text.NameLimit))
		}
		c.series(g[i].thin(), i)
	}
	c.add(`</svg></svg>`)
	p.SVG = c.html()
	return p
}

// fitted returns a canvas whose ranges hold all series of a group with their
// intervals.
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

// caption says in words what the axes do not show: the whole time with its zone,
// the spacing, and the lowest and highest value.
func (c *canvas) caption(g []series) string {
	offset := g[0].offset
	s := fmt.Sprintf("%s to %s %s", moment(c.x0, offset), moment(c.x1, offset), zoneName(offset))
	if every := g[0].every; every > 0 && every < 1e9 {
		s += ", every " + text.Duration(text.Seconds(every))
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
