package chart

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// binsInner is the height of a histogram in pixels, without its labels.
	binsInner = 120
	// maxBins is how many bars a histogram has at most.
	maxBins = 64
)

// Histogram is a histogram of durations, with the text around it.
type Histogram struct {
	Empty  bool // there is nothing to draw
	SVG    template.HTML
	Gutter int      // width of the widest vertical label, in characters
	Rows   []BinRow // the same in words
	// Mean is empty where it is not known.
	Mean, Total string
}

// BinRow is one bar in words.
type BinRow struct {
	Range, Count string
}

// Durations draws how many took how long. mean is in seconds, and 0 where it is
// not known.
func Durations(what string, bins []api.Bin, mean float64) Histogram {
	bins = trim(bins[:min(len(bins), maxBins)])
	var total, most int64
	for _, b := range bins {
		total, most = total+b.N, max(most, b.N)
	}
	p := Histogram{Empty: most <= 0, Total: text.Grouped(total)}
	if p.Empty {
		return p
	}
	if mean > 0 && mean < 1e9 {
		p.Mean = text.Duration(text.Seconds(mean))
	}
	for i, b := range bins {
		p.Rows = append(p.Rows, BinRow{binRange(bins, i), text.Grouped(b.N)})
	}
	c := &canvas{inner: binsInner, b: make([]byte, 0, 8<<10)}
	if c.y = newScale(0, float64(most)); c.y.step < 1 {
		c.y = scale{lo: 0, hi: float64(most), step: 1}
	}
	ticks := c.y.ticks()
	p.Gutter = gutter(ticks)
	c.open(what + ": " + p.describe())
	c.axes(ticks, nil)
	c.bars(bins)
	c.add(`</svg>`)
	p.SVG = c.html()
	return p
}

// trim leaves out the empty bins at both ends, but keeps the one before the first
// bar: that bar begins where it ends.
func trim(bins []api.Bin) []api.Bin {
	from, to := 0, len(bins)
	for from < to && bins[from].N <= 0 {
		from++
	}
	for to > from && bins[to-1].N <= 0 {
		to--
	}
	return bins[max(from-1, 0):to]
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

func (p *Histogram) describe() string {
	parts := []string{p.Total + " in all"}
	if p.Mean != "" {
		parts = append(parts, "mean "+p.Mean)
	}
	for _, r := range p.Rows {
		parts = append(parts, r.Range+" "+r.Count)
	}
	return strings.Join(parts, "; ")
}

func (c *canvas) bars(bins []api.Bin) {
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
}

// binEnd labels the end of a bar. It labels only some of many bars.
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

// Share draws a bar that fills the given part of its width, from 0 to 1. The page
// says the same in numbers beside it.
func Share(part float64) template.HTML {
	part = min(max(part, 0), 1)
	if math.IsNaN(part) {
		part = 0
	}
	return template.HTML(fmt.Sprintf( //nolint:gosec // a number
		`<svg class="share" width="100%%" height="8" aria-hidden="true"><rect class="whole" width="100%%" height="8" rx="4"/><rect class="part" width="%.1f%%" height="8" rx="4"/></svg>`, part*100))
}

// Part is one part of a bar.
type Part struct {
	Class string // CSS class of the part
	N     int
}

// Parts draws a bar of parts of a whole, one after another. The page says the same in numbers
// beside it.
func Parts(parts []Part, whole int) template.HTML {
	var b strings.Builder
	b.WriteString(`<svg class="share" width="100%" height="10" aria-hidden="true"><rect class="whole" width="100%" height="10"/>`)
	at := 0.0
	for _, p := range parts {
		width := float64(max(p.N, 0)) / float64(max(whole, 1)) * 100
		if p.N > 0 && at < 100 {
			fmt.Fprintf(&b, `<rect class="%s" x="%.2f%%" width="%.2f%%" height="10"/>`, template.HTMLEscapeString(p.Class), at, min(width, 100-at))
		}
		at += width
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers, and a class that is escaped
}
