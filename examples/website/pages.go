package main

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// choice is a horizon that the form offers.
type choice struct {
	Horizon int
	Label   string
	Until   string
	Chosen  bool
}

func (s *site) choices() []choice {
	list := []choice{{Horizon: day, Label: "1 day"}, {Horizon: 2 * day, Label: "2 days"}, {Horizon: week, Label: "1 week", Chosen: true}, {Horizon: 2 * week, Label: "2 weeks"}, {Horizon: most, Label: "4 weeks"}}
	for i := range list {
		list[i].Until = dateOf(s.demand.at(history*week + list[i].Horizon - 1))
	}
	return list
}

func dateOf(t time.Time) string { return t.Format("2 January") }

// order shows the order form.
func (s *site) order(w http.ResponseWriter, _ *http.Request) {
	s.page(w, http.StatusOK, "order.html", map[string]any{
		"Choices": s.choices(),
		"Plot":    plot(s.demand.upTo(history * week).from((history - 2) * week)),
		"From":    dateOf(s.demand.Start),
		"To":      dateOf(s.demand.at(history*week - 1)),
	})
}

// forecast shows a job: its result URL, its progress, a plot, and at the end the error
// of the forecast.
func (s *site) forecast(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !jobs.ValidID(id) {
		s.notFound(w, r)
		return
	}
	s.page(w, http.StatusOK, "forecast.html", map[string]any{"Node": s.node, "Result": s.node + "/" + id})
}

func (s *site) notFound(w http.ResponseWriter, _ *http.Request) {
	s.say(w, http.StatusNotFound, "There is nothing here", "The address may have been cut off on its way.")
}

// say shows a page with only a message.
func (s *site) say(w http.ResponseWriter, status int, title, message string) {
	s.page(w, status, "message.html", map[string]any{"Title": title, "Message": message})
}

func (s *site) page(w http.ResponseWriter, status int, name string, data any) {
	var b bytes.Buffer
	if err := s.pages.ExecuteTemplate(&b, name, data); err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// plot draws a series as a line, with a vertical rule at the beginning of each day.
func plot(s series) template.HTML {
	const width, height, margin = 1000.0, 220.0, 10.0
	lowest, highest := s.Values[0], s.Values[0]
	for _, v := range s.Values {
		lowest, highest = min(lowest, v), max(highest, v)
	}
	x := func(i int) float64 { return width * float64(i) / float64(len(s.Values)-1) }
	var days, line strings.Builder
	for i, v := range s.Values {
		if i%day == 0 {
			fmt.Fprintf(&days, "M%.1f 0V%.0f", x(i), height)
		}
		y := height - margin - (height-2*margin)*float64(v-lowest)/float64(max(highest-lowest, 1))
		fmt.Fprintf(&line, "%c%.1f %.1f", "ML"[min(i, 1)], x(i), y)
	}
	return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 %.0f %.0f" preserveAspectRatio="none" role="img" aria-label="Demand from %s to %s, between %d and %d %s"><path class="days" d="%s"/><path class="line" d="%s"/></svg>`,
		width, height, dateOf(s.Start), dateOf(s.at(len(s.Values)-1)), lowest, highest, s.Unit, &days, &line))
}

func (s *site) fail(w http.ResponseWriter, err error) {
	s.log.Error("answer not made", "err", err)
	http.Error(w, "something went wrong here", http.StatusInternalServerError)
}
