package publisher

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// binsInner is the height of a histogram in pixels, without its labels.
	binsInner = 120
	// maxBins bounds the bars of a histogram.
	maxBins = 64
)

// binsPlot is a histogram of durations with what a page says around it.
type binsPlot struct {
	Empty  bool
	SVG    template.HTML
	Gutter int
	Rows   []binRow // the same in words
	// Mean and Total stand below the drawing.
	Mean, Total string
}

type binRow struct {
	Range, Count string
}

// drawBins draws how many took how long; mean is in seconds, 0 where unknown.
func drawBins(what string, bins []api.Bin, mean float64) binsPlot {
	bins = trim(bins[:min(len(bins), maxBins)])
	var total, most int64
	for _, b := range bins {
		total, most = total+b.N, max(most, b.N)
	}
	p := binsPlot{Empty: most <= 0, Total: text.Grouped(total)}
	if p.Empty {
		return p
	}
	if mean > 0 && mean < 1e9 {
		p.Mean = text.Duration(text.Seconds(mean))
	}
	for i, b := range bins {
		p.Rows = append(p.Rows, binRow{binRange(bins, i), text.Grouped(b.N)})
	}
	c := &canvas{inner: binsInner, b: make([]byte, 0, 8<<10)}
	if c.y = newScale(0, float64(most)); c.y.step < 1 {
		c.y = scale{lo: 0, hi: float64(most), step: 1}
	}
	p.Gutter = c.drawBins(what+": "+p.say(), bins)
	p.SVG = template.HTML(c.b) //nolint:gosec // all text in it went through HTMLEscapeString
	return p
}

// trim leaves out the empty bins at both ends.
func trim(bins []api.Bin) []api.Bin {
	from, to := 0, len(bins)
	for from < to && bins[from].N <= 0 {
		from++
	}
	for to > from && bins[to-1].N <= 0 {
		to--
	}
	if from > 0 { // its end is where the first one begins
		from--
	}
	return bins[from:to]
}

func binRange(bins []api.Bin, i int) string {
	switch up := bins[i].UpTo; {
	case up <= 0 && i == 0:
		return "any"
	case up <= 0:
		return "over " + text.Duration(text.Seconds(bins[i-1].UpTo))
	case i == 0:
		return "up to " + text.Duration(text.Seconds(up))
	default:
		return text.Duration(text.Seconds(bins[i-1].UpTo)) + " to " + text.Duration(text.Seconds(up))
	}
}

func (p *binsPlot) say() string {
	parts := []string{p.Total + " in all"}
	if p.Mean != "" {
		parts = append(parts, "mean "+p.Mean)
	}
	for _, r := range p.Rows {
		parts = append(parts, r.Range+" "+r.Count)
	}
	return strings.Join(parts, "; ")
}

// drawBins returns the width of the widest label in characters.
func (c *canvas) drawBins(label string, bins []api.Bin) (gutter int) {
	c.add(`<svg class="plot" width="100%" height="`, strconv.Itoa(c.height()), `" role="img" aria-label="`, template.HTMLEscapeString(label), `">`)
	ticks := c.y.ticks()
	for _, t := range ticks {
		gutter = max(gutter, len([]rune(t.label)))
	}
	c.axes(ticks, nil)
	width := 100 / float64(len(bins))
	for i, b := range bins {
		left, top := float64(i)*width, c.down(float64(max(b.N, 0)))
		if b.N > 0 {
			top = min(top, float64(c.inner)-1.5)
			c.add(fmt.Sprintf(`<rect class="bin c0" x="%.2f%%" width="%.2f%%" y="%.1f" height="%.1f"/>`,
				left+width*0.06, width*0.88, plotTop+top, float64(c.inner)-top))
		}
		c.binEnd(i, len(bins), left+width, b.UpTo)
	}
	c.add(`</svg>`)
	return gutter
}

// binEnd labels where a bar ends, with fewer labels where there are many bars.
func (c *canvas) binEnd(i, n int, at, upTo float64) {
	every := int(math.Ceil(float64(n) / 6))
	if upTo <= 0 || i%every != every-1 && i != 0 {
		return
	}
	rank := 2 - 2*min(1, i%(2*every)/every)
	if n <= 4 {
		rank = 0 // there is room for all of them
	}
	anchor := "middle"
	if at > 94 {
		anchor = "end"
	}
	c.add(fmt.Sprintf(`<g class="r%d"><text x="%.2f%%" y="%d" text-anchor="%s">%s</text></g>`,
		rank, at, c.height()-16, anchor, text.Duration(text.Seconds(upTo))))
}

// spark is a line of words' height without axes: label says what it shows.
func spark(label string, points []*float64) template.HTML {
	lines := linesOf([]jobs.Series{{Points: points}})
	if len(lines) == 0 {
		return ""
	}
	c := &canvas{inner: 20, x1: float64(max(len(lines[0].y)-1, 1)), b: make([]byte, 0, 2<<10)}
	_, high := widen(0, 0, lines[0].y)
	c.y = scale{lo: 0, hi: max(high, 1e-9), step: 1}
	x := make([]float64, len(lines[0].y))
	for i := range x {
		x[i] = float64(i)
	}
	c.add(`<svg class="spark" width="100%" height="24" role="img" aria-label="`, template.HTMLEscapeString(text.Line(label, 200)), `">`)
	c.add(fmt.Sprintf(`<svg y="2" height="20" viewBox="0 0 %d 20" preserveAspectRatio="none" overflow="visible">`, plotAcross))
	c.series(series{x: x, y: lines[0].y}, 0)
	c.add(`</svg></svg>`)
	return template.HTML(c.b) //nolint:gosec // all text in it went through HTMLEscapeString
}

// share is a bar whose length is a part of 1, beside a number that says the same.
func share(part float64) template.HTML {
	part = min(max(part, 0), 1)
	if math.IsNaN(part) {
		part = 0
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // a number
		`<svg class="share" width="100%%" height="8" aria-hidden="true"><rect class="whole" width="100%%" height="8" rx="4"/><rect class="part" width="%.1f%%" height="8" rx="4"/></svg>`, part*100))
}
