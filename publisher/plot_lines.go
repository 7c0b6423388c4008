package publisher

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	// linesInner is the height of a line plot in pixels, without its labels.
	linesInner = 176
	// maxLines bounds the lines of one plot: there are that many colours.
	maxLines = 9
	// maxLinePoints bounds the points of a line.
	maxLinePoints = 2000
	// endRunes bounds a name at the end of its line, endRoom is the least
	// distance between two of them in pixels.
	endRunes = 14
	endRoom  = 14
	// others is the name of what has no line of its own, and is drawn grey.
	others = "others"
)

// linesPlot is a drawing of several series over the steps of a window, with
// what a page says around it.
type linesPlot struct {
	// Empty is where no series has a value.
	Empty  bool
	SVG    template.HTML
	Gutter int // width of the widest vertical label, in characters
	Unit   string
	Legend []legendEntry
	Ends   bool // whether names stand at the ends of the lines
	// From and Until bound the time, Step is what one point stands for.
	From, Until text.Piece
	Step        string
	Table       template.HTML
}

type legendEntry struct {
	Name, Class, Newest string
}

// line is one series, made fit to be drawn.
type line struct {
	name   string
	y      []float64 // NaN where nothing is known
	newest float64
	class  int
}

// drawLines draws series of a unit over a window; what names the plot for those
// who do not see it. With whole, only whole numbers are counted.
func drawLines(what, unit string, w api.Window, list []jobs.Series, whole bool) linesPlot {
	lines := linesOf(list)
	p := linesPlot{Unit: unit, From: text.Moment(w.From), Until: text.Moment(w.Until), Step: text.Duration(stepOf(w))}
	if len(lines) == 0 || w.Step <= 0 {
		p.Empty = true
		return p
	}
	c := &canvas{inner: linesInner, local: true}
	n := c.fitLines(w, lines, whole)
	c.b = make([]byte, 0, 8<<10+10*n*len(lines))
	ticks := c.y.ticks()
	for _, t := range ticks {
		p.Gutter = max(p.Gutter, len([]rune(t.label)))
	}
	for _, l := range lines {
		p.Legend = append(p.Legend, legendEntry{text.Line(l.name, text.NameLimit), "c" + strconv.Itoa(l.class), c.known(l.newest)})
	}
	p.Ends = len(lines) > 1
	c.drawAll(what, unit, n, ticks, lines, p.Ends)
	p.SVG = template.HTML(c.b) //nolint:gosec // all text in it went through HTMLEscapeString
	p.Table = c.table(w, lines)
	return p
}

func stepOf(w api.Window) time.Duration {
	return time.Duration(min(max(w.Step, 0), 1e9) * float64(time.Second))
}

// linesOf are the series that have a value, at most maxLines. The colours go by
// name, so that a line keeps its own while another one overtakes it.
func linesOf(list []jobs.Series) []line {
	var lines []line
	for _, s := range list[:min(len(list), maxLines)] {
		l := line{name: s.Name, newest: math.NaN()}
		for _, v := range s.Points[:min(len(s.Points), maxLinePoints)] {
			f := math.NaN()
			if v != nil && math.Abs(*v) <= jsonvalue.MaxNumber {
				f, l.newest = *v, *v
			}
			l.y = append(l.y, f)
		}
		if !math.IsNaN(l.newest) {
			lines = append(lines, l)
		}
	}
	paint(lines)
	return lines
}

func paint(lines []line) {
	order := make([]int, 0, len(lines))
	for i := range lines {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(lines[a].name, lines[b].name) })
	class := 0
	for _, i := range order {
		if lines[i].class = class; lines[i].name == others {
			lines[i].class = maxLines - 1
			continue
		}
		class++
	}
}

// fitLines finds the ranges and returns how many points there are. A step's
// value stands at its end, when it was known.
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

func (c *canvas) drawAll(what, unit string, n int, ticks []tick, lines []line, ends bool) {
	label := template.HTMLEscapeString(c.sayLines(what, unit, lines))
	c.add(`<svg class="plot" width="100%" height="`, strconv.Itoa(c.height()), `" role="img" aria-label="`, label, `">`)
	c.axes(ticks, spanTicks(c.x0, c.x1, 0))
	c.add(fmt.Sprintf(`<svg y="%d" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none" overflow="visible">`,
		plotTop, c.inner, plotAcross, c.inner*10))
	across := make([]int64, n)
	for i := range across {
		across[i] = int64(i * plotAcross / max(n-1, 1))
	}
	for i := len(lines) - 1; i >= 0; i-- { // the busiest is drawn last, on top
		c.line(lines[i], across)
	}
	c.add(`</svg>`)
	if ends {
		c.ends(lines)
	}
	c.add(`</svg>`)
}

// line draws stretches of what is known, in whole tenths of a pixel: this is
// where most of the time goes.
func (c *canvas) line(l line, across []int64) {
	c.add(`<path class="line c`, strconv.Itoa(l.class), `" fill="none" stroke="currentColor" vector-effect="non-scaling-stroke" d="`)
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
		if to == from+1 { // a lone value: a line of no length, which round caps show
			b = append(b, 'h', '0')
		}
	})
	c.b = append(b, `"/>`...)
}

// ends writes the names beside the ends of their lines, moved apart where they
// would lie on one another. A page shows them where there is room.
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
		c.add(fmt.Sprintf(`<text class="c%d" x="100%%" dx="8" y="%.0f">%s %s</text>`, l.class, at[i]+plotTop+4, name, c.known(l.newest)))
	}
	c.add(`</g>`)
}

// sayLines says what the plot shows to those who do not see it.
func (c *canvas) sayLines(what, unit string, lines []line) string {
	said := make([]string, len(lines))
	for i, l := range lines {
		_, high := widen(math.Inf(1), math.Inf(-1), l.y)
		said[i] = fmt.Sprintf("%s newest %s, highest %s", text.Line(l.name, text.NameLimit), c.known(l.newest), c.known(high))
	}
	return fmt.Sprintf("%s, %s. %s.", what, unit, strings.Join(said, "; "))
}

// known is a value with a digit more than the axis has, or a dash.
func (c *canvas) known(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e9 {
		return text.Minus(text.Thousands(strconv.FormatFloat(v, 'f', 0, 64)))
	}
	return c.y.format(v, 1)
}
