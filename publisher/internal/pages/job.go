package pages

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/counted"
	"github.com/runnerbean/runnerbean/publisher/internal/families"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
	"github.com/runnerbean/runnerbean/publisher/internal/loops"
)

// maxProcesses is how many processes are listed.
const maxProcesses = 100

// jobPage is the page of the dashboard about one job.
type jobPage struct {
	frame
	batchPart
	Job       *jobview.Job
	ResultURL string // the page for visitors
	Why       string // why it has not started
	Verbs     []verbButton
	Action    string
	Tries     []attemptRow
	Earlier   string
	Series    []chart.TimeSeries
	Chunk     string // what it works on
	Chunks    *counted.Chunks
	Processes []processView
	Saved     []checkpointRow
	SaveAsked []text.Piece // the request for a checkpoint; empty for none
	Labels    []linkView
	Needs     []linkView
	Family    *families.View
	Loop      *loops.View
	Rerun     linkView // the job that this one repeats
	Delivery  jobview.Delivery
	Events    []jobEvent
	Document  string // the job's document
	DocCut    bool
	APIURL    string
}

// attemptRow is one attempt with its process.
type attemptRow struct {
	jobview.Attempt
	Counted                           string
	Started                           text.Piece
	Took, End, CPU, Memory, Node, SHA string
	NodeURL                           string
}

// checkpointRow is one checkpoint.
type checkpointRow struct {
	Number, Attempt, Size, SHA, Short, Use, Broken string
	At                                             text.Piece
}

type linkView struct{ Text, URL string }

// jobEvent is one event of the job.
type jobEvent struct {
	At             text.Piece
	Kind, By, Text string
}

// Job shows a job with its attempts, processes, events and document.
func (p *Pages) Job(c echo.Context) error {
	id, err := httpio.JobIDParam(c)
	if err != nil {
		return err
	}
	return p.sendShared(c, "job.html", func(ctx context.Context) (any, error) {
		return p.jobPage(ctx, c, id)
	})
}

func (p *Pages) jobPage(ctx context.Context, c echo.Context, id string) (*jobPage, error) {
	rec, err := p.cfg.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	details, err := p.cfg.Job(ctx, id)
	if err != nil {
		return nil, err
	}
	v := &jobPage{}
	var result jobs.Result
	if v.Job, result, err = p.jobPart(ctx, id, details); err != nil {
		return nil, err
	}
	v.frame = p.frame(c, "jobs", v.Job.Title)
	v.fill(details, rec)
	v.links(details)
	if v.Frames, err = p.frames(ctx, result, c.QueryParams(), operatorPlace(v.Root, id)); err != nil {
		return nil, err
	}
	if v.Frames != nil {
		v.isBatch(details, rec)
	} else if v.Of, v.What, err = p.ofBatch(ctx, id); err != nil {
		return nil, err
	}
	if v.Family, err = families.New(ctx, p.cfg.Stages, v.Root, id, details.Job.Labels); err != nil {
		return nil, err
	}
	v.Loop, v.Delivery = loops.New(details.Loop, details.Job.Repeat, v.Root, id), jobview.NewDelivery(details.Delivery)
	series, err := p.cfg.Series(ctx, id)
	if n := len(details.Attempts); err == nil && n > 0 {
		v.Series = chart.Reported(series, details.Attempts[n-1].Started)
	}
	return v, err
}

// jobPart returns the part of the page that visitors see too, and what it is made from.
func (p *Pages) jobPart(ctx context.Context, id string, details api.Details) (*jobview.Job, jobs.Result, error) {
	d, err := p.cfg.Result(ctx, id)
	if errors.Is(err, httpio.ErrMissing) {
		v, err := jobWithoutResult(details, p.root)
		return v, details.Status, err
	}
	if err != nil {
		return nil, d.Result, err
	}
	if !d.Result.State.Final() {
		d.Result = details.Status
	}
	d.Root = p.root
	d.SetLinks(p.root+"/"+id, "")
	return jobview.New(d), d.Result, nil
}

// jobWithoutResult returns jobPart for a success whose result the store has lost.
func jobWithoutResult(details api.Details, root string) (*jobview.Job, error) {
	body, err := httpio.Marshal(details.Status)
	v := jobview.New(jobview.Data{Result: details.Status, ResultJSON: body, Root: root})
	v.Tone, v.Because, v.Fault = "bad", "Its result is missing", "The store does not have it. Bring the file back, or run the job again: runnerbean retry --missing-result "+details.Status.ID
	return v, err
}

// fill sets what visitors do not see.
func (v *jobPage) fill(d api.Details, rec ledger.Record) {
	if v.Why = text.Line(text.Capitalize(d.Why), jobview.MessageLimit); v.Why != "" {
		v.Why += "."
		v.Job.Message = text.Lines(d.Status.Message, jobview.MessageLimit)
	}
	if v.CanAct {
		v.Verbs = jobButtons(d, rec)
		v.Action = v.Root + "/jobs/" + rec.ID + "/act?seen=" + seen(rec)
	}
	shown, earlier := jobview.NewestAttempts(d.Attempts)
	for _, a := range shown {
		v.Tries = append(v.Tries, v.try(a))
	}
	v.Earlier = earlier
	v.Chunk, v.Chunks = counted.ChunkWords(d.Status.Chunk), counted.NewChunks(d.Chunks)
	v.checkpoints(d)
	v.Processes = processTree(d.Processes[:min(len(d.Processes), maxProcesses)])
	for _, e := range slices.Backward(newest(d.Events)) {
		v.Events = append(v.Events, jobEvent{text.Moment(e.At), text.Line(e.Kind, text.NameLimit), text.Line(e.By, text.NameLimit), text.Line(e.Message, 400)})
	}
	// A page with the time at which it was made would have another tag each time.
	v.Job.Facts = slices.DeleteFunc(v.Job.Facts, func(f jobview.Fact) bool { return f.Name == jobview.MadeAt })
	v.Document, v.DocCut = jsonvalue.Pretty(v.document(d, rec), jobview.MaxJSON)
}

// isBatch sets what the page of a batch has in place of what other jobs have.
func (v *jobPage) isBatch(d api.Details, rec ledger.Record) {
	v.Job.Output = jobview.Output{} // the frames say the same
	if !v.CanAct {
		return
	}
	v.Forms = batchForms(v.Root, v.Action, d, rec)
	v.Verbs = slices.DeleteFunc(v.Verbs, func(b verbButton) bool {
		return b.Verb == string(ledger.VerbCancel) || b.Verb == string(ledger.VerbRetry)
	})
}

// document returns the job's document. Without the right to act, it has no secrets.
func (v *jobPage) document(d api.Details, rec ledger.Record) []byte {
	if v.CanAct {
		return rec.Document
	}
	auth.Redact(&d.Job)
	text, err := httpio.Marshal(d.Job)
	if err != nil {
		return nil
	}
	return text
}

// checkpoints sets what the program has saved.
func (v *jobPage) checkpoints(d api.Details) {
	if asked := d.CheckpointAsked; asked != nil {
		v.SaveAsked = []text.Piece{text.Words("The program is asked for one since "), text.Moment(asked.At)}
		if asked.By != "" {
			v.SaveAsked = append(v.SaveAsked, text.Words(", by %s", text.Line(asked.By, text.NameLimit)))
		}
	}
	for _, c := range d.Checkpoints {
		row := checkpointRow{
			Number: strconv.Itoa(c.Number), Attempt: strconv.Itoa(c.Attempt), Size: text.Bytes(c.Bytes), At: text.Moment(c.At),
			SHA: text.Line(c.SHA256, 64), Broken: text.Line(c.Broken, jobview.MessageLimit),
		}
		row.Short = row.SHA[:min(len(row.SHA), 12)]
		if c.Restored > 0 {
			row.Use = fmt.Sprintf("attempt %d has begun from it", c.Restored)
		}
		if c.Broken != "" {
			row.Use = "cannot be used"
		}
		v.Saved = append(v.Saved, row)
	}
}

// newest returns the last events of a job, the oldest first.
func newest(list []api.Event) []api.Event {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b api.Event) int { return a.At.Compare(b.At) })
	return list[max(0, len(list)-jobview.MaxRows):]
}

// links sets the links to other pages.
func (v *jobPage) links(d api.Details) {
	id := url.PathEscape(d.Status.ID)
	v.ResultURL, v.APIURL = text.Link(v.Root+"/"+id), text.Link(v.Root+"/api/v1/jobs/"+id)
	for _, key := range slices.Sorted(maps.Keys(d.Job.Labels)) {
		if len(v.Labels) == jobview.MaxRows {
			break
		}
		pair := key + "=" + d.Job.Labels[key]
		v.Labels = append(v.Labels, linkView{text.Line(pair, 200), v.Root + "/jobs" + with(url.Values{}, "label", pair)})
	}
	for _, need := range d.Job.Needs[:min(len(d.Job.Needs), jobview.MaxRows)] {
		v.Needs = append(v.Needs, v.jobLink(need))
	}
	if d.Job.RerunOf != "" {
		v.Rerun = v.jobLink(d.Job.RerunOf)
	}
}

func (v *jobPage) jobLink(id string) linkView {
	if !jobs.ValidID(id) {
		return linkView{Text: text.Line(id, text.NameLimit)}
	}
	return linkView{text.ShortID(id), v.Root + "/jobs/" + id}
}

func (v *jobPage) try(a api.Attempt) attemptRow {
	links := jobview.Data{LogURL: v.Job.LogURL, FilesURL: v.Root + "/" + v.Job.ID + "/files/"}
	t := attemptRow{
		Attempt: jobview.NewAttempt(a, links), Started: text.Moment(a.Started), End: ending(a),
		Node: text.Line(a.Node, text.NameLimit), SHA: text.Line(a.ProgramSHA256, 64),
		Counted: counted.Words(a.Counters),
	}
	if a.Node != "" {
		t.NodeURL = text.Link(v.Root + "/nodes/" + url.PathEscape(a.Node))
	}
	if !a.Finished.IsZero() && !a.Finished.Before(a.Started) {
		t.Took = text.Duration(a.Finished.Sub(a.Started))
	}
	if a.CPUSeconds > 0 {
		t.CPU = text.Duration(time.Duration(a.CPUSeconds * float64(time.Second)))
	}
	if a.MaxRSS > 0 {
		t.Memory = text.Bytes(a.MaxRSS)
	}
	return t
}

// Short returns the beginning of the program's hash.
func (t attemptRow) Short() string { return t.SHA[:min(len(t.SHA), 12)] }

// ending says how the process of an attempt ended.
func ending(a api.Attempt) string {
	switch {
	case a.Signal != "":
		return text.Line(a.Signal, text.NameLimit)
	case a.ExitCode != nil:
		return fmt.Sprintf("exit code %d", *a.ExitCode)
	case a.Quarantine:
		return "alone on its node"
	}
	return ""
}
