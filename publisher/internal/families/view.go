// Package families shows the jobs that programs have made as a pipeline: a stage for each program.
package families

import (
	"context"
	"net/url"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/families"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// span is the time over which the rate of a stage is measured.
const span = time.Minute

// Stages reads the stages of a family, see [families.Families].
type Stages func(ctx context.Context, first string, since time.Time) ([]families.Stage, error)

// View is the family of a job on the pages of the dashboard.
type View struct {
	Stages []Stage
	// All leads to the list of all its jobs.
	All string
	// Cut says that not all of them are counted.
	Cut string
	// Parent leads to the job that made this one; empty if a person submitted it.
	Parent string
	// ParentID is its short id.
	ParentID string
}

// Stage is the jobs of one program.
type Stage struct {
	Program, URL string
	Waiting      int
	Queued       int
	Running      int
	Succeeded    int
	Failed       int    // or cancelled
	FailedURL    string // the list of those that failed
	Rate         int    // how many have ended in the last minute
}

// New returns the view of the family of a job with an id and labels. It is nil if no program has
// made jobs of it. root is the path of the dashboard.
func New(ctx context.Context, read Stages, root, id string, labels map[string]string) (*View, error) {
	first := id
	if of := labels[families.Label]; jobs.ValidID(of) {
		first = of
	}
	stages, err := read(ctx, first, time.Now().Add(-span))
	if err != nil || len(stages) == 0 {
		return nil, err
	}
	list := func(more url.Values) string {
		more.Set("label", families.Label+"="+first)
		return root + "/jobs?" + more.Encode()
	}
	v := &View{All: list(url.Values{})}
	if parent := labels[families.ParentLabel]; jobs.ValidID(parent) {
		v.Parent, v.ParentID = root+"/jobs/"+parent, text.ShortID(parent)
	}
	total := 0
	for _, s := range stages {
		row := Stage{
			Program: text.Line(s.Program, text.NameLimit), URL: list(url.Values{"program": {s.Program}}),
			Waiting: s.States[jobs.Waiting], Queued: s.States[jobs.Queued], Running: s.States[jobs.Running], Succeeded: s.States[jobs.Succeeded],
			Failed: s.States[jobs.Failed] + s.States[jobs.Cancelled], Rate: s.Ended,
			FailedURL: list(url.Values{"program": {s.Program}, "state": {string(jobs.Failed)}}),
		}
		total += row.Waiting + row.Queued + row.Running + row.Succeeded + row.Failed
		v.Stages = append(v.Stages, row)
	}
	if total == families.MaxJobs {
		v.Cut = "Some 20,000 of its jobs are counted."
	}
	return v, nil
}
