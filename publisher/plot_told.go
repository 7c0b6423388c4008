package publisher

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	// maxTold is how many numbers of a program are plotted over time, toldInner
	// the height of such a plot in pixels, without its labels.
	maxTold   = 8
	toldInner = 96
)

// seriesPlots draws what a program has said of itself over time, each number by
// itself: they have nothing in common but the time.
func seriesPlots(told jobs.JobSeries, started time.Time) []plot {
	var list []plot
	for _, one := range told.Series {
		s := series{unit: one.Name}
		for i := range min(len(told.Seconds), len(one.Points)) {
			s.x = append(s.x, float64(started.Unix())+told.Seconds[i])
			s.y = append(s.y, toldValue(one.Points[i]))
		}
		if len(list) < maxTold && drawable(s) {
			list = append(list, drawTold(s))
		}
	}
	return list
}

func toldValue(v *float64) float64 {
	if v == nil || math.Abs(*v) > jsonvalue.MaxNumber {
		return math.NaN()
	}
	return *v
}

// drawable reports whether there is a line to draw.
func drawable(s series) bool {
	known := 0
	for i, y := range s.y {
		if !math.IsNaN(y) {
			known++
		}
		if i > 0 && s.x[i] < s.x[i-1] || s.x[i] < minTime || s.x[i] > maxTime {
			return false
		}
	}
	return known >= 2 && s.x[len(s.x)-1] > s.x[0]
}

func drawTold(s series) plot {
	c := fitted([]series{s})
	// The reader's own clock is written without seconds, which a short time needs.
	c.inner, c.local = toldInner, c.x1-c.x0 > 600
	ticks := c.y.ticks()
	p := plot{Unit: text.Line(s.unit, text.NameLimit)}
	for _, t := range ticks {
		p.Gutter = max(p.Gutter, len([]rune(t.label)))
	}
	p.Caption = fmt.Sprintf("Lowest %s, highest %s.", c.y.format(c.low, 1), c.y.format(c.high, 1))
	if !c.local {
		p.Caption += " Times are in UTC."
	}
	label := template.HTMLEscapeString(p.Unit + " over time. " + p.Caption)
	c.add(`<svg class="plot" width="100%" height="`, strconv.Itoa(c.height()), `" role="img" aria-label="`, label, `">`)
	c.axes(ticks, spanTicks(c.x0, c.x1, 0))
	c.add(fmt.Sprintf(`<svg y="%d" height="%d" viewBox="0 0 %d %d" preserveAspectRatio="none" overflow="visible">`,
		plotTop, c.inner, plotAcross, c.inner))
	c.series(s.thin(), 0)
	c.add(`</svg></svg>`)
	p.SVG = template.HTML(c.b) //nolint:gosec // all text in it went through HTMLEscapeString
	return p
}
