package jobview

import (
	"maps"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	// maxFigures is how many values of a result are shown, and maxFigureDepth how
	// deep they may lie.
	maxFigures     = 32
	maxFigureDepth = 3
	// maxShortList is how long an array may be to be shown as one value.
	maxShortList = 4
)

// counters returns the counters of a program, sorted by name.
func counters(m map[string]float64) []Fact {
	var list []Fact
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if len(list) == MaxRows {
			break
		}
		list = append(list, Fact{Name: text.Line(name, text.NameLimit), Piece: text.Piece{Text: text.Number(m[name])}})
	}
	return list
}

// figureList collects the scalars of a result that are not part of a time series.
// A deeper one has the name of the member that holds it in front of its own.
type figureList struct {
	facts []Fact
	rest  bool // there are values that are neither here nor in a time series
}

// figures returns the scalars of a result.
func figures(value []byte) figureList {
	l := figureList{}
	if top := jsonvalue.Members(value); len(top) > 0 && len(value) <= chart.MaxSource {
		l.add("", top, 0)
	} else {
		l.rest = true
	}
	return l
}

func (l *figureList) add(holder string, all []jsonvalue.Member, depth int) {
	if chart.IsSeries(all) {
		return
	}
	for _, m := range all {
		name := strings.ReplaceAll(text.Line(m.Name, text.NameLimit), "_", " ")
		inner, scalar := jsonvalue.Members(m.Value), single(m.Value)
		switch {
		case len(inner) > 0 && depth < maxFigureDepth:
			l.add(name, inner, depth+1)
		case scalar != "" && len(l.facts) < maxFigures:
			if holder != "" {
				name = holder + " · " + name
			}
			l.facts = append(l.facts, Fact{Name: name, Piece: text.Piece{Text: scalar}})
		default:
			l.rest = true
		}
	}
}

// single returns a scalar or a short array as text, and "" for other values.
func single(raw []byte) string {
	if v, ok := jsonvalue.Number(raw); ok {
		return text.Number(v)
	}
	if s := jsonvalue.String(raw); s != "" {
		return text.Line(s, 200)
	}
	if s := string(raw); s == "true" || s == "false" {
		return s
	}
	list, _ := jsonvalue.Elements(raw)
	if len(list) > maxShortList {
		return ""
	}
	parts := make([]string, len(list))
	for i, e := range list {
		if parts[i] = single(e); parts[i] == "" {
			return ""
		}
	}
	return strings.Join(parts, ", ")
}
