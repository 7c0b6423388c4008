// Package retention is the part of a node that deletes jobs that have been kept long
// enough, and removes the objects of deleted jobs from the store. It works in small
// steps with pauses, so that other work comes first.
package retention

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// Every is the time between two rounds.
	Every = 5 * time.Second
	// duty is how long a node deletes for the pool before it renews that.
	duty = time.Minute
	// budget is how long one part of a round may take.
	budget = 20 * time.Second
	// walkEvery is the least time between the ends of two searches through all that has
	// ended.
	walkEvery = time.Minute

	maxDeleted = 50  // jobs in one transaction
	maxRemoved = 100 // jobs whose objects are removed in one step
)

// Loop deletes for one node. One node of a pool does it at a time.
type Loop struct {
	Ledger *ledger.Ledger
	Store  *store.Store
	// Node is the name of the node, and Instance its instance.
	Node, Instance string
	// Keep is the setting of the node.
	Keep   jobs.Keep
	Logger *slog.Logger

	walk   retention.Walk
	walked time.Time // when the last search has ended
	logs   leftLogs
	saved  leftCheckpoints
	sent   leftFiles
}

// Run works until ctx ends. A failure is logged, and the next round goes on.
func (l *Loop) Run(ctx context.Context) error {
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			l.release(ctx)
			return nil
		case <-ticker.C:
		}
		if err := panics.Call(func() error { return l.Round(ctx) }); err != nil && ctx.Err() == nil {
			l.Logger.Warn("cannot delete old jobs now; the next attempt goes on", "node", l.Node, "err", err)
		}
	}
}

// release lets another node delete at once. If it fails, that one waits for up to a minute.
func (l *Loop) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := l.Ledger.Retention.Release(ctx, l.Instance); err != nil {
		l.Logger.Debug("the duty to delete old jobs is not given up", "node", l.Node, "err", err)
	}
}

// Round removes the objects of deleted jobs and deletes jobs that are due, for at most
// about a minute. It does nothing while another node does that.
func (l *Loop) Round(ctx context.Context) error {
	mine, err := l.Ledger.Retention.Take(ctx, l.Instance, duty)
	if err != nil || !mine {
		return err
	}
	l.logs.ledger, l.logs.store = l.Ledger.Logs, l.Store
	l.saved.ledger, l.saved.store = l.Ledger.Checkpoints, l.Store
	l.sent.ledger, l.sent.store = l.Ledger.Packages, l.Store
	unmoved := errors.Join(l.logs.move(ctx), l.saved.remove(ctx, time.Now().Add(budget)), l.sent.remove(ctx, time.Now().Add(budget)))
	more, err := l.removeObjects(ctx, time.Now().Add(budget))
	if err != nil || more {
		return errors.Join(unmoved, err) // no more is deleted than can be removed
	}
	d := deletion{loop: l, end: time.Now().Add(budget), programs: map[string]int{}}
	return errors.Join(unmoved, d.run(ctx), d.note(ctx))
}

// removeObjects removes the objects of deleted jobs from the store until a time. It
// reports whether more may be left. Jobs whose objects cannot be removed are left for
// the next round.
func (l *Loop) removeObjects(ctx context.Context, end time.Time) (more bool, err error) {
	var failed error
	for after := ""; ; {
		page, err := l.Ledger.Retention.Removals(ctx, after)
		if err != nil || len(page) == 0 {
			return false, errors.Join(err, failed)
		}
		after = page[len(page)-1].Job
		slices.SortFunc(page, func(a, b retention.Removal) int { return cmp.Compare(tail(a.Job), tail(b.Job)) })
		for chunk := range slices.Chunk(page, maxRemoved) {
			began := time.Now()
			if began.After(end) {
				return true, failed
			}
			removed, err := l.remove(ctx, chunk)
			failed = cmp.Or(failed, err) // the first one is enough
			if len(removed) > 0 {
				if err := l.Ledger.Retention.Removed(ctx, removed); err != nil {
					return true, err
				}
			}
			if !step(ctx, began) {
				return true, ctx.Err()
			}
		}
	}
}

// tail returns the part of an id by which the store puts objects into folders.
func tail(id string) string { return id[max(0, len(id)-2):] }

// remove removes the objects of jobs, and returns those jobs of which none is left.
func (l *Loop) remove(ctx context.Context, list []retention.Removal) (removed []retention.Removal, err error) {
	if err = l.Store.RemoveJobs(ctx, objects(list)); err == nil {
		return list, nil
	}
	if len(list) == 1 {
		return nil, err
	}
	for i := range list {
		if one, failed := l.remove(ctx, list[i:i+1]); failed == nil {
			removed = append(removed, one...)
		}
	}
	return removed, err
}

func objects(list []retention.Removal) []store.JobObjects {
	named := make([]store.JobObjects, len(list))
	for i, v := range list {
		named[i] = store.JobObjects{ID: v.Job, Attempts: v.Attempts}
	}
	return named
}

// deletion is the part of a round that deletes jobs.
type deletion struct {
	loop     *Loop
	end      time.Time
	total    int
	programs map[string]int // how many jobs of which were deleted
}

// run deletes the jobs that are due until the time is up.
func (d *deletion) run(ctx context.Context) error {
	err := d.search(ctx, d.loop.Ledger.Retention.Looks)
	if err != nil || time.Since(d.loop.walked) < walkEvery {
		return err
	}
	d.loop.walk.Keep = d.loop.Keep
	err = d.search(ctx, func(ctx context.Context) ([]retention.Due, bool, error) {
		list, more, err := d.loop.Ledger.Retention.Next(ctx, &d.loop.walk)
		if err == nil && !more {
			d.loop.walked = time.Now()
		}
		return list, more, err
	})
	return err
}

// search deletes what next finds until there is no more or the time is up.
func (d *deletion) search(ctx context.Context, next func(context.Context) ([]retention.Due, bool, error)) error {
	for more := true; more && time.Now().Before(d.end); {
		began := time.Now()
		var list []retention.Due
		var err error
		if list, more, err = next(ctx); err != nil {
			return err
		}
		if !step(ctx, began) {
			return ctx.Err()
		}
		for chunk := range slices.Chunk(list, maxDeleted) {
			if err := d.delete(ctx, chunk); err != nil {
				return err
			}
		}
	}
	return nil
}

// delete deletes jobs in one transaction, unless they have changed since they were found.
func (d *deletion) delete(ctx context.Context, list []retention.Due) error {
	began := time.Now()
	targets := make([]ledger.Target, len(list))
	for i, v := range list {
		targets[i] = ledger.Target{ID: v.ID, Updated: v.Updated}
	}
	acted, err := d.loop.Ledger.Act(ctx, ledger.VerbDelete, "", targets)
	if err != nil {
		return err
	}
	var refused []string
	for _, a := range acted {
		if a.Err != nil {
			refused = append(refused, a.ID)
			continue
		}
		d.total++
		d.programs[a.Record.Program]++
	}
	if len(refused) > 0 {
		if err := d.loop.Ledger.Retention.PutOff(ctx, refused); err != nil {
			return err
		}
	}
	if !step(ctx, began) {
		return ctx.Err()
	}
	return nil
}

// maxNamed limits the programs that an event names.
const maxNamed = 5

// note records what was deleted.
func (d *deletion) note(ctx context.Context) error {
	if d.total == 0 {
		return nil
	}
	names := make([]string, 0, len(d.programs))
	for name := range d.programs {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(d.programs[b]-d.programs[a], cmp.Compare(a, b))
	})
	message := text.Count(d.total, "job was", "jobs were") + " deleted after the time for which they are kept:"
	for i, name := range names[:min(len(names), maxNamed)] {
		if i > 0 {
			message += ","
		}
		message += fmt.Sprintf(" %s %s", name, text.Grouped(d.programs[name]))
	}
	if more := len(names) - maxNamed; more > 0 {
		message += fmt.Sprintf(" and %s", text.Count(more, "other program", "other programs"))
	}
	d.loop.Logger.Info(message, "node", d.loop.Node)
	// The deletions are done, even if the node stops now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Every)
	defer cancel()
	return d.loop.Ledger.Events.Note(ctx, eventlog.Event{Kind: eventlog.KindDeleted, Node: d.loop.Node, Message: message})
}
