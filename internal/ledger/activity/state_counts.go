package activity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// StateCount is the change of a row of backlog, in the order of jobs.States.
type StateCount struct {
	Program string
	delta   [6]int64
}

// Count adds n jobs of a program in a state. "" is no state. Jobs that have ended are
// counted under no program, because documents with a fault may name any.
func Count(list []StateCount, program string, state jobs.State, n int64) []StateCount {
	if state == "" {
		return list
	}
	c := StateCount{Program: program}
	if state.Final() {
		c.Program = ""
	}
	c.delta[slices.Index(jobs.States, state)] = n
	return AddCount(list, &c)
}

// AddCount adds to the element of the same program.
func AddCount(list []StateCount, c *StateCount) []StateCount {
	for i := range list {
		if list[i].Program == c.Program {
			for k, n := range c.delta {
				list[i].delta[k] += n
			}
			return list
		}
	}
	return append(list, *c)
}

var (
	qCount = engine.NewManyRows("INSERT INTO backlog (program, waiting, queued, running, succeeded, failed, cancelled) VALUES ", 7,
		` ON CONFLICT (program) DO UPDATE SET waiting = backlog.waiting + excluded.waiting,
		queued = backlog.queued + excluded.queued, running = backlog.running + excluded.running,
		succeeded = backlog.succeeded + excluded.succeeded, failed = backlog.failed + excluded.failed,
		cancelled = backlog.cancelled + excluded.cancelled`).
		Or("INSERT INTO backlog_steps (program, waiting, queued, running, succeeded, failed, cancelled) VALUES ", 7,
			` ON CONFLICT (step, program) DO UPDATE SET waiting = backlog_steps.waiting + excluded.waiting,
		queued = backlog_steps.queued + excluded.queued, running = backlog_steps.running + excluded.running,
		succeeded = backlog_steps.succeeded + excluded.succeeded, failed = backlog_steps.failed + excluded.failed,
		cancelled = backlog_steps.cancelled + excluded.cancelled`)
	qCountsNow = engine.NewQuery(`SELECT COALESCE(SUM(waiting), 0), COALESCE(SUM(queued), 0), COALESCE(SUM(running), 0),
		COALESCE(SUM(succeeded), 0), COALESCE(SUM(failed), 0), COALESCE(SUM(cancelled), 0) FROM job_counts`)
)

// WriteCounts writes the changes, ordered by program to avoid deadlocks in engines that
// lock rows.
func WriteCounts(t engine.Tx, list []StateCount) error {
	list = slices.DeleteFunc(list, func(c StateCount) bool { return c.delta == [6]int64{} })
	slices.SortFunc(list, func(a, b StateCount) int { return strings.Compare(a.Program, b.Program) })
	return qCount.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 7*(to-from))
		for _, c := range list[from:to] {
			d := c.delta
			args = append(args, c.Program, d[0], d[1], d[2], d[3], d[4], d[5])
		}
		return t.Queue(q, args...)
	})
}

// Counts returns the number of jobs in each state, from counters.
func (c *Counters) Counts(ctx context.Context) (_ map[jobs.State]int, err error) {
	defer c.ledger.Observe("counts", time.Now(), &err)
	n := make([]int, len(jobs.States))
	if _, err := c.ledger.Row(ctx, qCountsNow, nil, &n[0], &n[1], &n[2], &n[3], &n[4], &n[5]); err != nil {
		return nil, fmt.Errorf("ledger: counts: %w", err)
	}
	m := make(map[jobs.State]int, len(n))
	for i, s := range jobs.States {
		m[s] = n[i]
	}
	return m, nil
}
