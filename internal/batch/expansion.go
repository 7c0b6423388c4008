package batch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// chunk is how many frames one transaction takes. It holds up other work for some
	// milliseconds.
	chunk = 100
	// readyScan is how many frames are looked at for those that need not wait. The first one of
	// all is ready once no frame is open.
	readyScan = 10_000
)

// order returns the indices of frames so that each comes after those that it needs.
func order(e *jobs.Expander) []int {
	place := make(map[int]int, e.Len())
	needs := make([]int, e.Len()) // how many are not in the order yet
	for i := range e.Len() {
		place[e.Frame(i).Number] = i
	}
	needed := map[int][]int{}
	list := make([]int, 0, e.Len())
	for i := range e.Len() {
		frame := e.Frame(i)
		for _, n := range frame.Needs {
			needed[place[n]] = append(needed[place[n]], i)
		}
		if needs[i] = len(frame.Needs); needs[i] == 0 {
			list = append(list, i)
		}
	}
	for at := 0; at < len(list); at++ {
		for _, i := range needed[list[at]] {
			if needs[i]--; needs[i] == 0 {
				list = append(list, i)
			}
		}
	}
	return list
}

// expansion makes the jobs of the frames that the ledger does not hold yet.
type expansion struct {
	expander *jobs.Expander
	base     string       // the result URL of the batch, without its id
	rest     []int        // indices of frames that are still to be made
	needs    bool         // some of them need frames
	unmade   map[int]bool // numbers of rest
}

// newExpansion leaves out the frames that are known.
func newExpansion(e *jobs.Expander, batch *jobs.Job, known map[int]bool) *expansion {
	x := &expansion{expander: e, base: strings.TrimSuffix(batch.Result.URL, batch.ID), unmade: map[int]bool{}}
	for _, i := range order(e) {
		if frame := e.Frame(i); !known[frame.Number] {
			x.rest = append(x.rest, i)
			x.unmade[frame.Number] = true
			x.needs = x.needs || len(frame.Needs) > 0
		}
	}
	return x
}

// readyFirst moves up to limit frames to the front whose needs have ended: they are made and not
// open. It returns how many. As long as frames are left one of the open ones leads to them.
func (x *expansion) readyFirst(limit int, open map[int]bool) (n int) {
	waits := func(need int) bool { return x.unmade[need] || open[need] }
	for at := 0; at < min(len(x.rest), readyScan) && n < limit; at++ {
		if i := x.rest[at]; !slices.ContainsFunc(x.expander.Frame(i).Needs, waits) {
			copy(x.rest[n+1:at+1], x.rest[n:at])
			x.rest[n] = i
			n++
		}
	}
	return n
}

// made removes the first n frames.
func (x *expansion) made(n int) {
	for _, i := range x.rest[:n] {
		delete(x.unmade, x.expander.Frame(i).Number)
	}
	x.rest = x.rest[n:]
}

// next returns the documents of the next frames, at most limit.
func (x *expansion) next(limit int) ([]dispatch.Frame, error) {
	frames := make([]dispatch.Frame, 0, min(limit, len(x.rest)))
	for _, i := range x.rest[:cap(frames)] {
		job, err := x.expander.Job(i)
		if err != nil {
			return nil, err
		}
		frame, err := x.frame(x.expander.Frame(i).Number, &job)
		if err != nil {
			return nil, err
		}
		frames = append(frames, frame)
	}
	return frames, nil
}

// frame returns the document of a job of the batch.
func (x *expansion) frame(number int, job *jobs.Job) (dispatch.Frame, error) {
	job.Result.URL = x.base + job.ID
	document, err := json.Marshal(job)
	if err != nil {
		return dispatch.Frame{}, fmt.Errorf("frame %d: %w", number, err)
	}
	return dispatch.Frame{Number: number, Document: document, ID: job.ID, Program: job.Program, ResultURL: job.Result.URL}, nil
}
