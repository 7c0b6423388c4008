package frames

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/batches"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// cells sets the cells of the frames that a query selects.
func (r *Reader) cells(ctx context.Context, v *View, batch string, q Query, p Place) error {
	if q.all() {
		o, err := r.overview(ctx, batch)
		if err != nil {
			return err
		}
		if o.width > 0 {
			v.rangeCells(&o, p)
		} else {
			v.frameCells(o.frames, r.images.of(ctx, o.frames), p)
		}
		return nil
	}
	list, err := r.list(ctx, batch, q)
	if err != nil {
		return err
	}
	more := len(list) > maxCells
	list = list[:min(len(list), maxCells)]
	v.frameCells(list, r.images.of(ctx, list), p)
	v.Shown = shown(len(list), q)
	if more {
		next := q
		next.First = list[len(list)-1].Number + 1
		v.Shown = fmt.Sprintf("The first %s of them", text.Grouped(len(list)))
		v.Neighbours = []Link{{Text: "The next ones", Path: p.link(next)}}
		return nil
	}
	return r.neighbours(ctx, v, batch, q, p)
}

// neighbours sets the links from a range of frames to those beside it.
func (r *Reader) neighbours(ctx context.Context, v *View, batch string, q Query, p Place) error {
	if q.State != "" || q.Last == jobs.MaxFrame {
		return nil
	}
	b, err := r.bounds(ctx, batch)
	if err != nil {
		return err
	}
	width := q.Last - q.First + 1
	add := func(first, last int) {
		v.Neighbours = append(v.Neighbours, Link{Text: fmt.Sprintf("%d–%d", first, last), Path: p.link(Query{First: first, Last: last})})
	}
	if before := max(0, q.First-width); q.First > b.first {
		add(before, q.First-1)
	}
	if q.Last < b.last {
		add(q.Last+1, min(q.Last+width, jobs.MaxFrame))
	}
	return nil
}

// shown says which frames are listed.
func shown(n int, q Query) string {
	words := text.Count(n, "frame", "frames")
	if q.State != "" {
		words = text.Grouped(n) + " " + string(q.State)
	}
	switch {
	case q.Last == jobs.MaxFrame && q.First == 0:
		return words
	case q.Last == jobs.MaxFrame:
		return fmt.Sprintf("%s from number %d on", words, q.First)
	}
	return fmt.Sprintf("%s with the numbers %d–%d", words, q.First, q.Last)
}

// frameCells sets a cell for each frame.
func (v *View) frameCells(list []batches.Frame, images map[string]string, p Place) {
	v.Cells = make([]Cell, len(list))
	widest := 1
	for i := range list {
		f := &list[i]
		number := strconv.Itoa(f.Number)
		widest = max(widest, len(number))
		c := Cell{URL: p.Frame(f.Number, f.Job), Class: class(f.State), Text: number, Label: "frame " + number + ": " + string(f.State)}
		if name := images[f.Job]; name != "" {
			c.Image = text.Link(httpio.AddQuery(p.Files(f.Number, f.Job)+jobview.EscapePath(name), p.Signature))
		}
		c.URL = httpio.AddQuery(c.URL, p.Signature)
		v.Cells[i] = c
	}
	v.Class = widthClass(widest)
	if len(images) > 0 {
		v.Class = "pictures"
	}
}

// widthClass returns the CSS class of cells with so many digits.
func widthClass(digits int) string { return "w" + strconv.Itoa(min(digits, 10)) }

// rangeCells sets a cell for each range of neighbouring frames.
func (v *View) rangeCells(o *overview, p Place) {
	list := o.ranges[:min(len(o.ranges), maxCells)]
	v.Cells, v.Class = make([]Cell, len(list)), widthClass(len(strconv.Itoa(o.last)))
	for i := range list {
		first, last := list[i].First, min(list[i].First+o.width-1, jobs.MaxFrame)
		v.Cells[i] = Cell{
			URL: p.link(Query{First: first, Last: last}), Class: class(worst(list[i].States)),
			Text: strconv.Itoa(first), Label: fmt.Sprintf("frames %d–%d: %s", first, last, statesText(list[i].States)),
		}
	}
	v.Shown = fmt.Sprintf("Each cell stands for up to %s, with the state of the worst of them", text.Count(o.width, "frame", "frames"))
}

// badness are the states of frames, the one that needs attention most first.
var badness = []jobs.State{jobs.Failed, jobs.Cancelled, jobs.Running, jobs.Queued, jobs.Waiting, jobs.Succeeded}

// worst returns the state that a range of frames is shown as.
func worst(states map[jobs.State]int) jobs.State {
	for _, s := range badness {
		if states[s] > 0 {
			return s
		}
	}
	return jobs.Waiting
}

// statesText says how many frames are in each state.
func statesText(states map[jobs.State]int) string {
	var parts []string
	for _, s := range shownStates {
		if n := states[s]; n > 0 {
			parts = append(parts, text.Grouped(n)+" "+string(s))
		}
	}
	return strings.Join(parts, ", ")
}

// rows sets the table of the frames that ran longest.
func (r *Reader) rows(ctx context.Context, v *View, batch string, q Query, p Place) (err error) {
	var list []batches.Frame
	if q.all() {
		list, err = r.slowest(ctx, batch)
	} else if list, err = r.list(ctx, batch, q); err == nil {
		v.Shown = shown(len(list), q)
		if len(list) > maxCells {
			list = list[:maxCells]
			v.Shown = fmt.Sprintf("Of the first %s of them", text.Grouped(len(list)))
		}
	}
	if err != nil {
		return err
	}
	now := time.Now()
	took := func(f batches.Frame) time.Duration { return f.Run(now) }
	list = slices.DeleteFunc(slices.Clone(list), func(f batches.Frame) bool { return f.Started.Unix() <= 0 })
	slices.SortStableFunc(list, func(a, b batches.Frame) int { return cmp.Compare(took(b), took(a)) })
	for _, f := range list[:min(len(list), maxRows)] {
		row := Row{
			URL: httpio.AddQuery(p.Frame(f.Number, f.Job), p.Signature), Frame: "frame " + strconv.Itoa(f.Number),
			State: string(f.State), Class: class(f.State), Took: text.Duration(took(f)), Started: text.Moment(f.Started),
		}
		if f.State == jobs.Running {
			row.Took = text.Duration(took(f).Truncate(time.Second)) + " so far"
		}
		v.Rows = append(v.Rows, row)
	}
	return nil
}
