package ledger

import (
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/jobs"
)

// end is the end of an attempt, of a job, or of both.
type end struct {
	activity.Ended // its Program is "" where jobs are counted under none
	job            string
	name           string // of the program
	attempt        int
	webhook        string
	target         string // as in the row
}

// end is how an attempt ended that was running. Clocks may jump while it runs.
func (r *running) end(job string, attempt int, e *Ending, now time.Time) *end {
	run := max(0, engine.Micros(now)-r.started)
	v := &end{job: job, name: r.program, attempt: attempt, webhook: r.webhook, target: r.target, Ended: activity.Ended{
		EndedKey: activity.EndedKey{Node: r.node, Program: r.program, Class: e.Outcome, Bin: activity.NoBin},
		N:        1, Run: run, CPU: max(0, e.CPU.Microseconds()),
	}}
	if r.due > 0 {
		v.Wait = max(0, r.started-r.due)
	}
	if e.State.Final() {
		v.State = e.State
	}
	if e.State == jobs.Succeeded {
		v.Bin = activity.BinOf(engine.Microseconds(run))
	}
	return v
}

// ended counts an end, and has it told where somebody wants to know.
func (t *txn) ended(e *end) {
	t.staged.ended = activity.Add(t.staged.ended, e.Ended, t.now)
	if e.State.Final() {
		t.staged.hooks = append(t.staged.hooks, t.l.Outbox.Of(outbox.Ended{
			Job: e.job, Program: e.name, State: e.State, Class: e.Class, Attempt: e.attempt, At: t.now, Webhook: e.webhook, Target: e.target,
		})...)
	}
}

var qAnnounced = engine.NewQuery("SELECT 1 FROM programs WHERE name = ?")

// endIdle ends a job that does not run, by an update that returns its program,
// attempt, webhook and target, if it still is in state from.
func (t *txn) endIdle(q *engine.Query, id string, from, to jobs.State, e *jobs.Error) (bool, error) {
	v := &end{job: id, Ended: activity.Ended{EndedKey: activity.EndedKey{State: to, Class: e.Class, Bin: activity.NoBin}, N: 1}}
	args := []any{engine.Micros(t.now), engine.Micros(t.now), errorText(e), id, string(from)}
	done, err := t.Change(q, args, &v.name, &v.attempt, &v.webhook, &v.target)
	if err != nil || !done {
		return false, err
	}
	v.Program = v.name
	if from == jobs.Waiting {
		awaits, err := t.awaits(id, v.name)
		if err != nil {
			return false, err
		}
		if awaits {
			v.Program = ""
		}
	}
	t.count(v.Program, from, to)
	t.ended(v)
	return true, nil
}

// faulty counts a job whose document has a fault. Its program may be any text,
// so that one that no node has announced is not told from others.
func (t *txn) faulty(r *Record, c *candidate) error {
	v := &end{job: r.ID, name: r.Program, webhook: c.webhook, target: t.l.Outbox.Elsewhere(c.target), Ended: activity.Ended{
		EndedKey: activity.EndedKey{Program: r.Program, State: r.State, Class: r.Error.Class, Bin: activity.NoBin}, N: 1,
	}}
	known, err := t.announced(r.Program)
	if !known {
		v.Program = ""
	}
	t.ended(v)
	return err
}
