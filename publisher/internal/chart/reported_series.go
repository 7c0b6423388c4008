package chart

import (
	"fmt"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	// maxReported is how many reported numbers are drawn.
	maxReported = 8
	// reportedInner is the height of such a drawing in pixels, without its labels.
	reportedInner = 96
)

// Reported draws the numbers that a program reported while it ran, one drawing
// for each. started is when its attempt started.
func Reported(reported api.JobSeries, started time.Time) []TimeSeries {
	var list []TimeSeries
	for _, one := range reported.Series {
		s := series{unit: one.Name}
		for i := range min(len(reported.Seconds), len(one.Points)) {
			s.x = append(s.x, float64(started.Unix())+reported.Seconds[i])
			s.y = append(s.y, known(one.Points[i]))
		}
		if len(list) < maxReported && drawable(s) {
			list = append(list, drawReported(s))
		}
	}
	return list
}

// known returns a value that a drawing can hold, or NaN.
func known(v *float64) float64 {
	if v == nil || math.IsNaN(*v) || math.Abs(*v) > jsonvalue.MaxNumber {
		return math.NaN()
	}
	return *v
}

// drawable reports whether there are two values at least, at ascending times.
func drawable(s series) bool {
	values := 0
	for i, y := range s.y {
		if !math.IsNaN(y) {
			values++
		}
		if i > 0 && s.x[i] < s.x[i-1] || s.x[i] < minTime || s.x[i] > maxTime {
			return false
		}
	}
	return values >= 2 && s.x[len(s.x)-1] > s.x[0]
}

func drawReported(s series) TimeSeries {
	c := fitted([]series{s})
	// Local times are shown without seconds, which a short time needs.
	c.inner, c.local = reportedInner, c.x1-c.x0 > 600
	ticks := c.y.ticks()
	p := TimeSeries{Unit: text.Line(s.unit, text.NameLimit), Gutter: gutter(ticks)}
	p.Caption = fmt.Sprintf("Lowest %s, highest %s.", c.y.format(c.low, 1), c.y.format(c.high, 1))
	if !c.local {
		p.Caption += " Times are in UTC."
	}
	c.open(p.Unit + " over time. " + p.Caption)
	c.axes(ticks, timeTicks(c.x0, c.x1, 0))
	c.openLines(c.inner)
	c.series(s.thin(), 0)
	c.add(`</svg></svg>`)
	p.SVG = c.html()
	return p
}
