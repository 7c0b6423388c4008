package loops

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxTaken is how many numbers are left out because another job has the id that belongs to them.
const maxTaken = 8

var (
	qJoin  = engine.NewQuery("UPDATE jobs SET loop = ?, run = ? WHERE id = ?")
	qBegin = engine.NewQuery(`INSERT INTO loops (id, runs, newest, latest, latest_run, ended, ended_by) VALUES (?, 1, ?, '', 0, 0, '')
		ON CONFLICT (id) DO NOTHING`)
	qLatest = engine.NewQuery("UPDATE loops SET latest = ?, latest_run = ? WHERE id = ? AND latest_run < ?")
	qMade   = engine.NewQuery("UPDATE loops SET runs = ?, newest = ? WHERE id = ? AND runs = ? AND ended = 0")
	qEnd    = engine.NewQuery("UPDATE loops SET ended = ?, ended_by = ? WHERE id = ? AND ended = 0")
)

// Job is a job of a loop: its document, and its place. The zero Loop is that of a new document,
// which begins a loop of its own.
type Job struct {
	Job      jobs.Job
	Document []byte
	Loop     string
	Run      int
}

// Join records the place of a job that was just inserted, or whose document can be read now. A
// loop that is known stays as it is: neither a document that comes again nor a retry begins it
// anew.
func Join(t engine.Tx, id, loop string, run int) error {
	if loop == "" {
		loop, run = id, 1
		if _, err := t.Exec(qBegin, loop, id); err != nil {
			return err
		}
	}
	_, err := t.Exec(qJoin, loop, run, id)
	return err
}

// Succeeded records the success of a job of a loop, and makes the next job with insert, whose made
// is false if another job has the id, or if the job is refused for another reason. document is
// that of the job. It makes none if the job is not the newest, if the loop was ended, and if the
// next job would start after the document expires.
func Succeeded(t engine.Tx, id string, document []byte, insert func(Job) (made bool, refused, err error)) error {
	var loop Loop
	var place Job
	if found, err := t.Row(qPlace, []any{id}, &place.Loop, &place.Run); err != nil || !found {
		return err
	}
	if _, err := t.Exec(qLatest, id, place.Run, place.Loop, place.Run); err != nil {
		return err
	}
	var ended int64
	found, err := t.Row(qLoop, []any{place.Loop}, loop.dest(&ended)...)
	if err != nil || !found || ended != 0 || loop.Runs != place.Run {
		return err
	}
	why := ""
	for n := place.Run + 1; n <= place.Run+maxTaken; n++ {
		next := Job{Loop: loop.ID, Run: n}
		if why = next.write(id, document, t.Now()); why != "" {
			break
		}
		made, refused, err := insert(next)
		if err != nil {
			return err
		}
		if made {
			_, err = t.Exec(qMade, n, next.Job.ID, loop.ID, loop.Runs)
			return err
		}
		if why = "other jobs have the ids of the next ones"; errors.Is(refused, engine.ErrTooBig) {
			why = refused.Error()
			break
		}
	}
	t.Note("", eventlog.KindLoop, id, "", "the job does not repeat any more: "+why)
	return nil
}

// RunID returns the id of a run of a loop, unless another job had it before: then no run has it.
func RunID(loop string, run int) string {
	if run == 1 {
		return loop
	}
	return jobs.DerivedID(loop, "run/"+strconv.Itoa(run))
}

// write writes the document of a job that follows another one of its loop. why is not empty if
// there is none.
func (j *Job) write(previous string, document []byte, now time.Time) (why string) {
	job, err := jobdoc.Read(document)
	if err != nil || job.Repeat <= 0 {
		return "its document cannot be read"
	}
	job.ID = RunID(j.Loop, j.Run)
	job.Result.URL = strings.TrimSuffix(job.Result.URL, previous) + job.ID
	job.Created, job.NotBefore = now.Truncate(time.Millisecond), now.Add(time.Duration(job.Repeat)).Truncate(time.Microsecond)
	job.Traceparent, job.RerunOf = "", ""
	if !job.Expires.IsZero() && !job.NotBefore.Before(job.Expires) {
		return "the next run would start after it expires, at " + job.Expires.UTC().Format(time.RFC3339)
	}
	j.Job = job
	if j.Document, err = json.Marshal(job, json.Deterministic(true)); err != nil {
		return fmt.Sprintf("the document of the next run cannot be written: %v", err)
	}
	return ""
}

// End ends the loop of a job for good: no success makes a next job any more. The id may also be
// that of a loop whose first job was deleted. by is the name of the person. newest is the id of the
// newest job, which the caller cancels; "" if there is no loop.
func End(t engine.Tx, by, id string) (newest string, err error) {
	var loop Loop
	var ended int64
	var of string
	var run int
	if _, err := t.Row(qPlace, []any{id}, &of, &run); err != nil {
		return "", err
	}
	if of == "" {
		of = id
	}
	found, err := t.Row(qLoop, []any{of}, loop.dest(&ended)...)
	if err != nil || !found || ended != 0 {
		return loop.Newest, err
	}
	if _, err := t.Exec(qEnd, engine.Micros(t.Now()), by, of); err != nil {
		return "", err
	}
	t.Note(by, eventlog.KindLoop, loop.Newest, "", "the loop was ended for good")
	t.Changed(loop.Newest)
	t.Changed(id)
	return loop.Newest, nil
}
