package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Plots are as wide as two of them beside each other on a page, or one on a phone, so that the
// text can be read on both. Units are those of the view box.
const (
	plotWidth = 400
	plotLeft  = 14
	plotRight = plotWidth - 14
	plotTop   = 62 // below the title
	bars      = 12 // sections that are drawn
	times     = 20 // intervals of the throughput
	maxDrawn  = 6  // workers that are drawn
)

const plotStyle = `
:root { color-scheme: light dark }
.paper { fill: #ffffff } .grid { stroke: #e3e1da } .bar { fill: #2f7d4f } .ink { fill: #1d2420 } .soft { fill: #5d675d }
.l0 { stroke: #2f7d4f } .l1 { stroke: #2c62b8 } .l2 { stroke: #9a5807 } .l3 { stroke: #7b4ea3 } .l4 { stroke: #b3362c } .l5 { stroke: #5d675d }
@media (prefers-color-scheme: dark) {
.paper { fill: #1b1f23 } .grid { stroke: #363d44 } .bar { fill: #5cc387 } .ink { fill: #e6e8e6 } .soft { fill: #9aa49d }
.l0 { stroke: #5cc387 } .l1 { stroke: #7aa7f0 } .l2 { stroke: #e0a04a } .l3 { stroke: #bf97e6 } .l4 { stroke: #f0786c } .l5 { stroke: #9aa49d }
}
text { font: 13px system-ui, sans-serif; font-variant-numeric: tabular-nums } .title { font-size: 16px; font-weight: 600 }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round } .end { text-anchor: end } .mid { text-anchor: middle }
`

// svg writes one plot.
type svg struct{ b bytes.Buffer }

func newSVG(height int, title, note string) *svg {
	s := &svg{}
	fmt.Fprintf(&s.b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img"><title>%s</title><style>%s</style>`,
		plotWidth, height, plotWidth, height, escape(title), plotStyle)
	fmt.Fprintf(&s.b, "\n"+`<rect width="%d" height="%d" class="paper"/>`+"\n", plotWidth, height)
	s.text(plotLeft, 26, "title ink", title)
	s.text(plotLeft, 46, "soft", note)
	return s
}

func (s *svg) text(x, y float64, class, text string) {
	fmt.Fprintf(&s.b, `<text x="%.1f" y="%.1f" class="%s">%s</text>`+"\n", x, y, class, escape(text))
}

func (s *svg) rect(x, y, width, height float64, class, title string) {
	fmt.Fprintf(&s.b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="2" class="%s"><title>%s</title></rect>`+"\n", x, y, width, height, class, escape(title))
}

func (s *svg) grid(x1, y1, x2, y2 float64) {
	fmt.Fprintf(&s.b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="grid"/>`+"\n", x1, y1, x2, y2)
}

func (s *svg) bytes() []byte {
	s.b.WriteString("</svg>\n")
	return s.b.Bytes()
}

// escape returns text that cannot end an element.
func escape(text string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(text)) // a Buffer takes all
	return b.String()
}

// sectionsPlot draws the packages and the installed size of the largest sections.
func sectionsPlot(t *tally) []byte {
	const row, name, number = 20.0, 98.0, 118.0
	list := most(t.Sections, bars)
	s := newSVG(plotTop+len(list)*int(row)+14, "Packages by section", fmt.Sprintf("%s in %d sections; installed size on the right", thousands(t.Records), len(t.Sections)))
	var highest int64 = 1
	for _, g := range list {
		highest = max(highest, g.Packages)
	}
	for i, g := range list {
		y := plotTop + float64(i)*row
		width := float64(g.Packages) / float64(highest) * (plotRight - name - number - plotLeft)
		s.text(name, y+14, "ink end", short(g.Name, 13))
		s.rect(name+8, y+3, max(1, width), row-6, "bar", fmt.Sprintf("%s: %d packages", g.Name, g.Packages))
		s.text(name+14+width, y+14, "soft", thousands(g.Packages))
		s.text(plotRight, y+14, "soft end", fmt.Sprintf("%.1f GiB", g.GiB))
	}
	return s.bytes()
}

// sizesPlot draws how many packages have which installed size.
func sizesPlot(t *tally) []byte {
	const height, bottom = plotTop + bars*20 + 14, 286.0
	s := newSVG(height, "Packages by installed size", "each bar from a power of two to the next")
	var highest int64 = 1
	for _, n := range t.Sizes {
		highest = max(highest, n)
	}
	step := (plotRight - plotLeft) / float64(max(1, len(t.Sizes)))
	for i, n := range t.Sizes {
		x, tall := plotLeft+float64(i)*step, float64(n)/float64(highest)*(bottom-plotTop-16)
		s.rect(x+1, bottom-tall, max(1, step-2), tall, "bar", fmt.Sprintf("less than %s: %d packages", sizeName(i), n))
		if n == highest {
			s.text(x+step/2, bottom-tall-5, "soft mid", thousands(n))
		}
		if i%5 == 0 && i > 0 {
			s.grid(x, bottom, x, bottom+5)
			s.text(x, bottom+20, "soft mid", sizeName(i-1))
		}
	}
	s.grid(plotLeft, bottom, plotRight, bottom)
	return s.bytes()
}

// sizeName returns the upper bound of a class of sizes.
func sizeName(class int) string {
	units := []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	return strconv.Itoa(1<<(class%10)) + " " + units[min(class/10, len(units)-1)]
}

// throughputPlot draws how many records each worker has parsed per second.
func throughputPlot(spans []span) []byte {
	const height, bottom = plotTop + bars*20 + 14, 266.0
	list := workers(spans)
	s := newSVG(height, "Records per second, by worker", "a worker is a node; over the whole time of its jobs")
	if len(list) == 0 {
		s.text(plotLeft, plotTop+20, "ink", "no part was parsed")
		return s.bytes()
	}
	from, to := bounds(spans)
	list = list[:min(len(list), maxDrawn)]
	lines, highest := make([][]float64, len(list)), 1.0
	for i, w := range list {
		lines[i] = rates(spans, w.Worker, from, to, times)
		highest = max(highest, slices.Max(lines[i]))
	}
	top := niceAbove(highest)
	for i := range 5 {
		y := bottom - float64(i)/4*(bottom-plotTop-10)
		s.grid(plotLeft, y, plotRight, y)
		s.text(plotRight, y-4, "soft end", thousands(int64(top*float64(i)/4)))
	}
	for i, values := range lines {
		fmt.Fprintf(&s.b, `<path class="line l%d" d="`, i)
		for j, v := range values {
			x0, x1 := plotLeft+float64(j)/times*(plotRight-plotLeft-60), plotLeft+float64(j+1)/times*(plotRight-plotLeft-60)
			y := bottom - v/top*(bottom-plotTop-10)
			fmt.Fprintf(&s.b, "%s%.1f %.1fH%.1f", map[bool]string{true: "M", false: "L"}[j == 0], x0, y, x1)
		}
		s.b.WriteString("\"/>\n")
	}
	s.text(plotLeft, bottom+17, "soft", "0 s")
	s.text(plotRight-60, bottom+17, "soft end", fmt.Sprintf("%.1f s", to.Sub(from).Seconds()))
	s.legend(list, bottom+38)
	return s.bytes()
}

// legend names the lines.
func (s *svg) legend(list []worker, y float64) {
	step := float64(plotRight-plotLeft) / float64(max(2, len(list)))
	for i, w := range list {
		x := plotLeft + float64(i)*step
		fmt.Fprintf(&s.b, `<line class="line l%d" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", i, x, y-4, x+16, y-4)
		s.text(x+22, y, "ink", short(w.Worker, int(step-22)/8-8)+" "+thousands(int64(w.Rate))+"/s")
	}
}

// bounds returns the first start and the last end.
func bounds(spans []span) (from, to time.Time) {
	from, to = spans[0].Started, spans[0].Finished
	for _, s := range spans {
		if s.Started.Before(from) {
			from = s.Started
		}
		if s.Finished.After(to) {
			to = s.Finished
		}
	}
	return from, to
}

// niceAbove returns a round number that is not below v, for the top of an axis.
func niceAbove(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(max(v, 1))))
	for _, n := range []float64{1, 2, 4, 6, 8} {
		if n*unit >= v {
			return n * unit
		}
	}
	return 10 * unit
}

// thousands returns a number with spaces between groups of three digits.
func thousands(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "\u2009" + text[i:]
	}
	return text
}

// short returns the first n characters of text.
func short(text string, n int) string {
	if r := []rune(text); len(r) > n && n > 0 {
		return string(r[:n-1]) + "…"
	}
	return text
}
