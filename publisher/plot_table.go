package publisher

import (
	"html/template"
	"math"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// tableRows is how many rows the table of a plot has at most.
const tableRows = 40

// table is the plot in numbers, the newest first. Where there are more steps
// than rows, a row is the mean of several.
func (c *canvas) table(w api.Window, lines []line) template.HTML {
	t := &canvas{y: c.y, b: make([]byte, 0, 8<<10)}
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
	return template.HTML(t.b) //nolint:gosec // all text in it went through HTMLEscapeString
}

func (c *canvas) row(at time.Time, lines []line, from, to int) {
	moment := text.Moment(at)
	c.add(`<tr><th scope="row"><time datetime="`, moment.ISO, `">`, moment.Text, `</time></th>`)
	for _, l := range lines {
		c.add(`<td class="r">`, c.known(mean(l.y[min(from, len(l.y)):min(to, len(l.y))])), `</td>`)
	}
	c.add(`</tr>`)
}

// mean of what is known; NaN where nothing is.
func mean(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if !math.IsNaN(v) {
			sum, n = sum+v, n+1
		}
	}
	return sum / float64(n)
}
