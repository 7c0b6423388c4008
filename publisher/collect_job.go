package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"slices"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// maxSeriesBytes is the size in bytes of the largest series that is read.
const maxSeriesBytes = 4 << 20

// details is all that is known about one job. [ledger.ErrUnknown].
func (p *Publisher) details(ctx context.Context, id string) (api.Details, error) {
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if err != nil {
		return api.Details{}, err
	}
	d := api.Details{Allowed: allowed(rec), Updated: rec.Updated}
	if d.Status, err = p.status(ctx, rec); err != nil {
		return d, err
	}
	// A document that was recorded with a fault may not be readable as a job.
	d.Job, _ = jobs.Read(rec.Document)
	d.Why = d.Status.Reason
	switch rec.State {
	case jobs.Running:
		err = p.addProcesses(ctx, &d, rec)
	case jobs.Queued:
		// Only here: a visitor's page must not wait for beanstalkd.
		d.Why = text.JoinClauses(health.NoServerReason(p.serversNow(ctx)), d.Why)
	}
	if err == nil {
		err = p.addHistory(ctx, &d)
	}
	return d, err
}

func (p *Publisher) addHistory(ctx context.Context, d *api.Details) error {
	var err error
	if d.Attempts, err = p.attemptsWhole(ctx, d.Status.ID); err != nil {
		return err
	}
	events, err := p.cfg.Ledger.Events.Newest(ctx, d.Status.ID, maxEvents)
	d.Events = eventsOf(events)
	if err == nil {
		d.Delivery, err = p.delivery(ctx, d.Status.ID)
	}
	return err
}

// allowed are the verbs that suit a job as it stands.
func allowed(rec ledger.Record) []string {
	list := []string{}
	for _, v := range operations.Verbs {
		if slices.Contains(v.States, rec.State) {
			list = append(list, string(v.Name))
		}
	}
	return list
}

// addProcesses adds the processes that the job's node has counted, and why a
// running job does not get on.
func (p *Publisher) addProcesses(ctx context.Context, d *api.Details, rec ledger.Record) error {
	nodes, err := p.readNodesWhole(ctx)
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
	d.Why = text.JoinClauses(d.Why, health.RunningReason(nodes[i]))
	return nil
}

// series is what the newest attempt of a job said about itself, over time. It
// is empty where that said no number. [ledger.ErrUnknown].
func (p *Publisher) series(ctx context.Context, id string) (jobs.JobSeries, error) {
	none := jobs.JobSeries{Seconds: []float64{}, Series: []jobs.Series{}}
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
	var found jobs.JobSeries
	err = json.NewDecoder(io.LimitReader(object, maxSeriesBytes)).Decode(&found)
	return found, err
}
