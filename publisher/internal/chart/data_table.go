package chart

import (
	"html/template"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// tableRows is how many rows the table of a chart has at most.
const tableRows = 40

// dataTable returns the values of a line chart as an HTML table, the newest
// first. Where there are more steps than rows, a row is the mean of several steps.
func dataTable(y scale, w api.Window, lines []line) template.HTML {
	t := &canvas{y: y, b: make([]byte, 0, 8<<10)}
	t.add(`<table><thead><tr><th scope="col">until</th>`)
	n := 0
	for _, l := range lines {
		t.add(`<th scope="col" class="r">`, template.HTMLEscapeString(text.Line(l.name, text.NameLimit)), `</th>`)
		n = max(n, len(l.y))
	}
	t.add(`</tr></thead><tbody>`)
	for to, per := n, (n+tableRows-1)/tableRows; to > 0; to -= per {
		t.row(w.From.Add(time.Duration(to)*stepOf(w)), lines, max(0, to-per), to)
	}
	t.add(`</tbody></table>`)
	return t.html()
}

func (c *canvas) row(at time.Time, lines []line, from, to int) {
	moment := text.Moment(at)
	c.add(`<tr><th scope="row"><time datetime="`, moment.ISO, `">`, moment.Text, `</time></th>`)
	for _, l := range lines {
		c.add(`<td class="r">`, c.y.value(mean(l.y[min(from, len(l.y)):min(to, len(l.y))])), `</td>`)
	}
	c.add(`</tr>`)
}

// mean returns the mean of the known values, or NaN.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}
