package chart

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// linesInner is the height of a line chart in pixels, without its labels.
	linesInner = 176
	// endRunes is how many runes of a name stand at the end of its line, and
	// endRoom the least distance between two such names in pixels.
	endRunes = 14
	endRoom  = 14
)

// LineChart is a drawing of several series over a window, with the text around it.
type LineChart struct {
	Empty  bool // no series has a value
	SVG    template.HTML
	Gutter int // width of the widest vertical label, in characters
	Unit   string
	Legend []LegendEntry
	Ends   bool // whether names stand at the ends of the lines
	// From and Until bound the time. Step is the time that one point stands for.
	From, Until text.Piece
	Step        string
	Table       template.HTML // the same in numbers
}

// LegendEntry is one line with its CSS class and its newest value.
type LegendEntry struct {
	Name, Class, Newest string
}

// Lines draws series over a window. what describes the chart to readers who do
// not see it. With whole, the axis has whole numbers only.
func Lines(what, unit string, w api.Window, list []api.Series, whole bool) LineChart {
	lines := linesOf(list)
	p := LineChart{Unit: unit, From: text.Moment(w.From), Until: text.Moment(w.Until), Step: text.Duration(stepOf(w))}
	if len(lines) == 0 || w.Step <= 0 {
		p.Empty = true
		return p
	}
	c := &canvas{inner: linesInner, local: true}
	n := c.fitLines(w, lines, whole)
	c.b = make([]byte, 0, 8<<10+10*n*len(lines))
	ticks := c.y.ticks()
	p.Gutter = gutter(ticks)
	for _, l := range lines {
		p.Legend = append(p.Legend, LegendEntry{text.Line(l.name, text.NameLimit), "c" + strconv.Itoa(l.color), c.y.value(l.newest)})
	}
	p.Ends = len(lines) > 1
	c.open(c.describeLines(what, unit, lines))
	c.axes(ticks, timeTicks(c.x0, c.x1, 0))
	c.lines(lines, n)
	if p.Ends {
		c.ends(lines)
	}
	c.add(`</svg>`)
	p.SVG = c.html()
	p.Table = dataTable(c.y, w, lines)
	return p
}

// fitLines sets the ranges and returns the number of points. The value of a step
// stands at its end, when it was known.
func (c *canvas) fitLines(w api.Window, lines []line, whole bool) int {
	n, high := 0, 0.0
	for _, l := range lines {
		n = max(n, len(l.y))
		_, high = widen(0, high, l.y)
	}
	c.x0 = float64(w.From.Unix()) + w.Step
	c.x1 = c.x0 + float64(max(n-1, 1))*w.Step
	c.y = newScale(0, max(high, 1))
	if whole && c.y.step < 1 {
		c.y = scale{lo: 0, hi: math.Ceil(c.y.hi), step: 1}
	}
	return n
}

// lines draws the lines, the busiest last and so on top.
func (c *canvas) lines(lines []line, n int) {
	across := make([]int64, n)
	for i := range across {
		across[i] = int64(i * plotAcross / max(n-1, 1))
	}
	c.openLines(c.inner * 10)
	for _, l := range slices.Backward(lines) {
		c.line(l, across)
	}
	c.add(`</svg>`)
}

// line draws the known stretches in whole tenths of a pixel. Most of the time of a
// chart is spent here, so it does not use [canvas.point].
func (c *canvas) line(l line, across []int64) {
	c.openLine(l.color)
	b, per := c.b, float64(c.inner*10)/c.y.hi
	c.runs(len(l.y), func(i int) bool { return math.IsNaN(l.y[i]) }, func(from, to int) {
		op := byte('M')
		for i := from; i < to; i++ {
			b = append(b, op)
			b = strconv.AppendInt(b, across[i], 10)
			b = append(b, ' ')
			b = strconv.AppendInt(b, int64((c.y.hi-l.y[i])*per), 10)
			op = 'L'
		}
		if to == from+1 { // a single value: a line of no length, which round caps show
			b = append(b, 'h', '0')
		}
	})
	c.b = append(b, `"/>`...)
}

// ends writes the names beside the ends of their lines, and moves them apart
// where they would overlap. A page shows them where there is room.
func (c *canvas) ends(lines []line) {
	order := slices.Clone(lines)
	slices.SortStableFunc(order, func(a, b line) int { return int(c.down(a.newest)) - int(c.down(b.newest)) })
	at := make([]float64, len(order))
	for i, l := range order {
		at[i] = c.down(l.newest)
		if i > 0 {
			at[i] = max(at[i], at[i-1]+endRoom)
		}
	}
	bottom := float64(c.inner)
	for i := len(at) - 1; i >= 0; i-- {
		at[i] = min(at[i], bottom)
		bottom = at[i] - endRoom
	}
	c.add(`<g class="ends" aria-hidden="true">`)
	for i, l := range order {
		name := template.HTMLEscapeString(text.Line(l.name, endRunes))
		c.add(fmt.Sprintf(`<text class="c%d" x="100%%" dx="8" y="%.0f">%s %s</text>`, l.color, at[i]+plotTop+4, name, c.y.value(l.newest)))
	}
	c.add(`</g>`)
}

func (c *canvas) describeLines(what, unit string, lines []line) string {
	said := make([]string, len(lines))
	for i, l := range lines {
		_, high := widen(math.Inf(1), math.Inf(-1), l.y)
		said[i] = fmt.Sprintf("%s newest %s, highest %s", text.Line(l.name, text.NameLimit), c.y.value(l.newest), c.y.value(high))
	}
	return fmt.Sprintf("%s, %s. %s.", what, unit, strings.Join(said, "; "))
}
