// Package counted shows what programs have counted, and the chunks that they have worked on.
package counted

import (
	"maps"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
)

const (
	// maxPlotted is how many counters of a program have plots.
	maxPlotted = 4
	// maxListed is how many counters are listed with their totals.
	maxListed = 20
	// maxLines is how many lines a plot has.
	maxLines = 8
)

// View is what was counted in a window of time.
type View struct {
	// Totals are the counters, the fastest first.
	Totals []Total
	// More is how many others there are.
	More  int
	Plots []Plot
}

// Total is a counter with its sums in the window.
type Total struct {
	Program string // on the page of a node
	Name    string
	Good    string
	Bad     string // empty for none
}

// Plot draws counters over time, and apart from them what was bad.
type Plot struct {
	Name   string
	Good   chart.LineChart
	Bad    chart.LineChart
	AnyBad bool
}

// OfProgram returns the view of a program: a plot for each counter, with a line for each node. It
// is nil if nothing was counted.
func OfProgram(c api.Counters) *View {
	v := totals(c, false)
	if v == nil {
		return nil
	}
	for _, one := range c.Counters[:min(len(c.Counters), maxPlotted)] {
		v.Plots = append(v.Plots, plot(text.Line(one.Name, text.NameLimit), c.Window, one.PerSecond, one.BadPerSecond))
	}
	return v
}

// OfNode returns the view of a node: one plot, with a line for each counter of each program. It is
// nil if nothing was counted.
func OfNode(c api.Counters) *View {
	v := totals(c, true)
	if v == nil {
		return nil
	}
	var good, bad []api.Series
	for _, one := range c.Counters {
		name := one.Program + " " + one.Name
		good, bad = named(good, name, one.PerSecond), named(bad, name, one.BadPerSecond)
	}
	v.Plots = []Plot{plot("", c.Window, good, bad)}
	return v
}

// named adds the line of a node under the name of a counter, if there is one and room for it.
func named(list []api.Series, name string, lines []api.Series) []api.Series {
	if len(lines) == 0 || len(list) == maxLines {
		return list
	}
	return append(list, api.Series{Name: name, Points: lines[0].Points})
}

func totals(c api.Counters, programs bool) *View {
	if len(c.Counters) == 0 {
		return nil
	}
	v := &View{More: max(0, len(c.Counters)-maxListed)}
	for _, one := range c.Counters[:min(len(c.Counters), maxListed)] {
		t := Total{Name: text.Line(one.Name, text.NameLimit), Good: text.Number(one.Total)}
		if programs {
			t.Program = text.Line(one.Program, text.NameLimit)
		}
		if one.Bad > 0 {
			t.Bad = text.Number(one.Bad)
		}
		v.Totals = append(v.Totals, t)
	}
	return v
}

func plot(name string, w api.Window, good, bad []api.Series) Plot {
	what := strings.TrimSpace(name + " per second")
	p := Plot{Name: name, AnyBad: len(bad) > 0, Good: chart.Lines(what, "per second", w, good, false)}
	if p.AnyBad {
		p.Bad = chart.Lines("bad "+what, "bad per second", w, bad, false)
	}
	return p
}

// Words returns counters in one line: "records 12,345, records.bad 67". It is empty for none.
func Words(counters map[string]float64) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if len(parts) == maxListed {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, text.Line(name, text.NameLimit)+" "+text.Number(counters[name]))
	}
	return strings.Join(parts, ", ")
}
