package chart

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// maxLines is how many lines a chart has at most: there are that many colours.
	maxLines = 9
	// maxLinePoints is how many points a line has at most.
	maxLinePoints = 2000
)

// line is one series of a line chart.
type line struct {
	name   string
	y      []float64 // NaN where a value is missing
	newest float64
	color  int
}

// linesOf returns at most maxLines series that have a value.
func linesOf(list []api.Series) []line {
	var lines []line
	for _, s := range list[:min(len(list), maxLines)] {
		l := line{name: s.Name, newest: math.NaN()}
		for _, v := range s.Points[:min(len(s.Points), maxLinePoints)] {
			f := known(v)
			if !math.IsNaN(f) {
				l.newest = f
			}
			l.y = append(l.y, f)
		}
		if !math.IsNaN(l.newest) {
			lines = append(lines, l)
		}
	}
	colour(lines)
	return lines
}

// colour gives each line a colour by the order of names, so that a line keeps its
// colour when another one becomes busier. [api.Others] is grey.
func colour(lines []line) {
	order := make([]int, 0, len(lines))
	for i := range lines {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return strings.Compare(lines[a].name, lines[b].name) })
	next := 0
	for _, i := range order {
		if lines[i].color = next; lines[i].name == api.Others {
			lines[i].color = maxLines - 1
			continue
		}
		next++
	}
}

// stepOf returns the time that one point of a window stands for.
func stepOf(w api.Window) time.Duration { return text.Seconds(min(max(w.Step, 0), 1e9)) }

// value writes a value with one digit more than the axis has, and a dash for a
// missing one.
func (s scale) value(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return "–"
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e9 {
		return text.Minus(text.Thousands(strconv.FormatFloat(v, 'f', 0, 64)))
	}
	return s.format(v, 1)
}
