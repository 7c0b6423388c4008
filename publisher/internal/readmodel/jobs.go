package readmodel

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// maxEvents bounds the events in the details of a job. The newest are shown.
const maxEvents = 200

func (p *Jobs) List(ctx context.Context, filter listing.Filter) (api.Page, error) {
	found, err := p.cfg.Ledger.List(ctx, filter)
	if err != nil {
		return api.Page{}, err
	}
	now := time.Now()
	page := api.Page{Jobs: make([]jobs.Result, 0, len(found.Jobs)), Next: found.Next, Back: found.Back}
	for _, rec := range found.Jobs {
		r := Summary(rec, now)
		if r.Error != nil {
			short := *r.Error
			short.LogTail = ""
			r.Error = &short
		}
		page.Jobs = append(page.Jobs, r)
	}
	return page, nil
}

func attemptsOf(list []ledger.Attempt) []api.Attempt {
	out := make([]api.Attempt, 0, len(list))
	for _, a := range list {
		attempt := api.Attempt{
			Number: a.Number, Node: a.Node, ProgramSHA256: a.ProgramSHA256, Started: a.Started,
			Finished: a.Finished, Outcome: a.Outcome, Message: a.Message, Signal: a.Signal,
			CPUSeconds: a.CPU.Seconds(), MaxRSS: a.MaxRSS, Quarantine: a.Quarantined,
		}
		if !a.Finished.IsZero() && a.ExitCode >= 0 {
			attempt.ExitCode = &a.ExitCode
		}
		out = append(out, attempt)
	}
	return out
}

// maxSeriesBytes bounds the size of a series that is read, in bytes.
const maxSeriesBytes = 4 << 20

// Details returns all that is known about one job. The error may be [ledger.ErrUnknown].
func (p *Jobs) Details(ctx context.Context, id string) (api.Details, error) {
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if err != nil {
		return api.Details{}, err
	}
	d := api.Details{Details: jobs.Details{Allowed: allowed(rec.State), Updated: rec.Updated}}
	if d.Status, err = p.Status(ctx, rec); err != nil {
		return d, err
	}
	// A document that was recorded with a fault may be unreadable.
	d.Job, _ = jobdoc.Read(rec.Document)
	d.Why = d.Status.Reason
	switch rec.State {
	case jobs.Running:
		err = p.addProcesses(ctx, &d, rec)
	case jobs.Queued:
		// Not in Status: a result URL must not wait for beanstalkd.
		d.Why = text.JoinClauses(health.NoServerReason(p.nodes.serversNow(ctx)), d.Why)
	}
	if err == nil {
		err = p.addHistory(ctx, &d)
	}
	if err == nil && rec.Attempt > 0 {
		err = p.addCheckpoints(ctx, &d, rec)
	}
	if err == nil && d.Job.Repeat > 0 {
		err = p.addLoop(ctx, &d)
	}
	return d, err
}

// addLoop adds the loop of a job that repeats.
func (p *Jobs) addLoop(ctx context.Context, d *api.Details) error {
	place, found, err := p.cfg.Ledger.Loops.Place(ctx, d.Status.ID)
	if err != nil || !found {
		return err
	}
	d.Loop = &api.Loop{
		ID: place.ID, Run: place.Run, Runs: place.Runs, Newest: place.Newest, Latest: place.Latest,
		Previous: place.Previous, Next: place.Next, Ended: place.Ended, EndedBy: place.EndedBy,
	}
	if place.Ended.IsZero() {
		d.Allowed = append(d.Allowed, string(ledger.VerbEndLoop))
	}
	newest, err := p.cfg.Ledger.GetMany(ctx, []string{place.Newest})
	if err != nil || len(newest) == 0 {
		return err
	}
	d.Loop.State = newest[0].State
	if d.Loop.State == jobs.Queued && newest[0].Wait(time.Now()) > 0 {
		d.Loop.NextAt = newest[0].NotBefore
	}
	return nil
}

// addCheckpoints adds the checkpoints of a job, and the request for one.
func (p *Jobs) addCheckpoints(ctx context.Context, d *api.Details, rec ledger.Record) error {
	kept, err := p.cfg.Ledger.Checkpoints.Kept(ctx, rec.ID)
	for _, c := range kept {
		d.Checkpoints = append(d.Checkpoints, api.Checkpoint{
			Number: c.Number, Attempt: c.Attempt, At: c.At, Bytes: c.Size, SHA256: c.SHA256, Restored: c.Restored, Broken: c.Broken,
		})
	}
	if err != nil || rec.State != jobs.Running {
		return err
	}
	asked, err := p.cfg.Ledger.Checkpoints.Requests(ctx, []string{rec.ID})
	if len(asked) > 0 && asked[0].Attempt == rec.Attempt {
		d.CheckpointAsked = &api.CheckpointAsked{At: asked[0].At, By: asked[0].By}
	}
	return err
}

// allowed returns the names of the verbs that apply to a job in a state. A checkpoint can be
// asked only of some programs.
func allowed(state jobs.State) []string {
	list := []string{}
	for _, v := range operations.Verbs {
		if v.Suits(state) && v.Name != ledger.VerbCheckpoint {
			list = append(list, string(v.Name))
		}
	}
	return list
}

func (p *Jobs) addHistory(ctx context.Context, d *api.Details) error {
	var err error
	if d.Attempts, err = p.Attempts(ctx, d.Status.ID); err != nil {
		return err
	}
	if d.Chunks, err = p.chunks(ctx, d.Status.ID); err != nil {
		return err
	}
	events, err := p.cfg.Ledger.Events.Newest(ctx, d.Status.ID, maxEvents)
	d.Events = EventsOf(events)
	if err == nil {
		d.Delivery, err = p.delivery(ctx, d.Status.ID)
	}
	return err
}

// addProcesses adds the processes of a running job, and the reason why it makes no
// progress.
func (p *Jobs) addProcesses(ctx context.Context, d *api.Details, rec ledger.Record) error {
	nodes, err := p.nodes.readNodesWhole(ctx)
	i := slices.IndexFunc(nodes, func(n api.Node) bool { return n.Instance == rec.Instance })
	if err != nil || i < 0 {
		return err
	}
	if v := nodes[i].Vitals; v != nil {
		for _, process := range v.Processes {
			if process.Job == rec.ID {
				d.Processes = append(d.Processes, process)
			}
		}
	}
	if slices.ContainsFunc(nodes[i].Installed, func(i api.Installed) bool { return i.Name == rec.Program && i.Checkpoint }) {
		d.Allowed = append(d.Allowed, string(ledger.VerbCheckpoint))
	}
	d.Why = text.JoinClauses(d.Why, health.RunningReason(nodes[i]))
	return nil
}

// Series returns the numbers that the newest attempt of a job has reported over time. It is
// empty if there are none. The error may be [ledger.ErrUnknown].
func (p *Jobs) Series(ctx context.Context, id string) (api.JobSeries, error) {
	none := api.JobSeries{Seconds: []float64{}, Series: []api.Series{}}
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if err != nil {
		return none, err
	}
	none.Attempt = rec.Attempt
	object, err := p.cfg.Store.Open(ctx, store.SeriesKey(id, rec.Attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	defer object.Close()
	var found api.JobSeries
	err = json.NewDecoder(io.LimitReader(object, maxSeriesBytes)).Decode(&found)
	return found, err
}

// delivery returns the state of a job's delivery, or nil if there is none.
func (p *Jobs) delivery(ctx context.Context, id string) (*api.Delivery, error) {
	d, err := p.cfg.Ledger.Outbox.Delivery(ctx, id)
	if err != nil || d.State == "" {
		return nil, err
	}
	return &api.Delivery{
		State: d.State, URL: outbound.Redact(d.URL), At: d.At, Next: d.Next, Tries: d.Tries, Message: d.Message,
	}, nil
}

// maxOutputBytes bounds the size of a list of files that is read, in bytes.
const maxOutputBytes = 8 << 20

// Attempts returns the attempts of a job. Attempts without success have the files that they
// left.
func (p *Jobs) Attempts(ctx context.Context, id string) ([]api.Attempt, error) {
	found, err := p.cfg.Ledger.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	list := attemptsOf(found)
	counted, err := p.cfg.Ledger.Counters.OfAttempts(ctx, id)
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Counters = counted[list[i].Number]
	}
	for i := range list[max(0, len(list)-api.MaxOutputs):] {
		a := &list[len(list)-1-i]
		if a.Outcome == "" || a.Outcome == jobs.OutcomeSucceeded {
			continue
		}
		left, err := p.Output(ctx, id, a.Number)
		if err != nil {
			return list, err
		}
		a.Artifacts, a.LeftOut = left.Artifacts, left.LeftOut
	}
	return list, nil
}

// Output returns the files that an attempt without success has left. It is empty if there
// are none, or if they are no longer kept.
func (p *Jobs) Output(ctx context.Context, id string, attempt int) (out api.Output, err error) {
	object, err := p.cfg.Store.Open(ctx, store.OutputKey(id, attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer object.Close()
	err = json.NewDecoder(io.LimitReader(object, maxOutputBytes)).Decode(&out)
	return out, err
}
