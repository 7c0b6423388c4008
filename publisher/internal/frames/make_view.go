package frames

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// View returns what a page shows of the frames of a batch.
func (r *Reader) View(ctx context.Context, job jobs.Result, q Query, p Place) (*View, error) {
	s, err := r.summary(ctx, job)
	if err != nil {
		return nil, err
	}
	v := &View{Ended: fmt.Sprintf("%s of %s ended", text.Grouped(s.ended()), text.Count(s.Frames, "frame", "frames"))}
	v.states(&s, q, p)
	v.Facts = facts(&s, job.State)
	if job.State.Final() && s.Succeeded > 0 {
		v.Tar = text.Link(httpio.AddQuery(p.Tar, p.Signature))
	}
	if s.Bundle != "" {
		v.Bundle = text.Link(httpio.AddQuery(p.Bundle, p.Signature))
	}
	byNumber, byTime := q, q
	byNumber.ByTime, byTime.ByTime = false, true
	v.Orders = []Link{{"By number", p.link(byNumber), !q.ByTime}, {"Slowest first", p.link(byTime), q.ByTime}}
	if !q.all() {
		v.All = p.link(Query{Last: jobs.MaxFrame, ByTime: q.ByTime})
	}
	if q.ByTime {
		err = r.rows(ctx, v, job.ID, q, p)
	} else {
		err = r.cells(ctx, v, job.ID, q, p)
	}
	if len(v.Cells)+len(v.Rows) == 0 {
		v.Empty = empty(&s, q)
	}
	return v, err
}

// states sets the counts and the bar.
func (v *View) states(s *summary, q Query, p Place) {
	var parts []chart.Part
	for _, state := range shownStates {
		n, link := s.in(state), Query{State: state, Last: jobs.MaxFrame, ByTime: q.ByTime}
		if n == 0 && q.State != state {
			continue
		}
		if q.State == state {
			link.State = ""
		}
		v.States = append(v.States, StateLink{Link{string(state), p.link(link), q.State == state}, class(state), text.Grouped(n)})
		parts = append(parts, chart.Part{Class: class(state), N: n})
	}
	v.Bar = chart.Parts(parts, s.Frames)
}

// facts returns how long frames ran, when the last one will have ended, and what is not there.
func facts(s *summary, state jobs.State) []jobview.Fact {
	var list []jobview.Fact
	add := func(name string, p text.Piece) { list = append(list, jobview.Fact{Name: name, Piece: p}) }
	if s.Ends != nil && state == jobs.Running && s.Ends.After(time.Unix(0, 0)) {
		add("Expected end", text.Moment(*s.Ends))
	}
	if t := s.Seconds; t != nil {
		seconds := func(v float64) text.Piece { return text.Words("%s", text.Duration(text.Seconds(min(max(v, 0), 1e9)))) }
		add("Mean run time", seconds(t.Mean))
		add("10 % ran at most", seconds(t.P10))
		add("50 % ran at most", seconds(t.P50))
		add("90 % ran at most", seconds(t.P90))
		add("Longest run", seconds(t.Max))
	}
	if s.Deleted > 0 {
		add("Deleted", text.Words("%s", text.Grouped(s.Deleted)))
	}
	if absent := s.Frames - s.ended() - s.Running - s.Queued - s.Waiting; absent > 0 {
		add("Never made, or deleted", text.Words("%s", text.Grouped(absent)))
	}
	return list
}

// empty says why no frame is listed.
func empty(s *summary, q Query) string {
	switch {
	case q.ByTime && q.State == "":
		return "No frame has ended yet."
	case q.State != "" || q.part():
		return "There is no such frame."
	case s.ended() == s.Frames && s.Frames > 0:
		return "Its frames have been deleted."
	}
	return "Its frames have not been made yet."
}
