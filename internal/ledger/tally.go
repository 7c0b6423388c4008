package ledger

import (
	"cmp"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// tallyKey is what ends are counted by.
type tallyKey struct {
	at            int64 // of the minute
	node, program string
	state         jobs.State // "" where the job goes on
	class         jobs.Outcome
	bin           int
}

// tally is a row of tallies.
type tally struct {
	tallyKey
	n, run, cpu, wait int64 // microseconds
}

// end is the end of an attempt, of a job, or of both.
type end struct {
	tally   // its program is "" where jobs are counted under none
	job     string
	name    string // of the program
	attempt int
	webhook string
	target  string // as in the row
}

// minute is the beginning of the minute of a time.
func minute(t time.Time) int64 { return engine.Micros(t.Truncate(time.Minute)) }

// end is how an attempt ended that was running. Clocks may jump while it runs.
func (r *running) end(job string, attempt int, e *Ending, now time.Time) *end {
	run := max(0, engine.Micros(now)-r.started)
	v := &end{job: job, name: r.program, attempt: attempt, webhook: r.webhook, target: r.target, tally: tally{
		tallyKey: tallyKey{node: r.node, program: r.program, class: e.Outcome, bin: noBin},
		n:        1, run: run, cpu: max(0, e.CPU.Microseconds()),
	}}
	if r.due > 0 {
		v.wait = max(0, r.started-r.due)
	}
	if e.State.Final() {
		v.state = e.State
	}
	if e.State == jobs.Succeeded {
		v.bin = binOf(engine.Microseconds(run))
	}
	return v
}

// ended counts an end, and has it told where somebody wants to know.
func (t *txn) ended(e *end) {
	e.at = minute(t.now)
	t.staged.tallies = addTally(t.staged.tallies, &e.tally)
	if e.state.Final() {
		t.hook(e)
		t.deliver(e)
	}
}

// addTally adds to the row of the same key; a transaction has few.
func addTally(list []tally, v *tally) []tally {
	for i := range list {
		if o := &list[i]; o.tallyKey == v.tallyKey {
			o.n, o.run, o.cpu, o.wait = o.n+v.n, o.run+v.run, o.cpu+v.cpu, o.wait+v.wait
			return list
		}
	}
	return append(list, *v)
}

var (
	qTally = engine.NewManyRows("INSERT INTO tallies (at, node, program, state, class, bin, n, run_us, cpu_us, wait_us) VALUES ", 10,
		` ON CONFLICT (at, node, program, state, class, bin) DO UPDATE SET n = tallies.n + excluded.n,
		run_us = tallies.run_us + excluded.run_us, cpu_us = tallies.cpu_us + excluded.cpu_us,
		wait_us = tallies.wait_us + excluded.wait_us`)
	qAnnounced = engine.NewQuery("SELECT 1 FROM programs WHERE name = ?")
)

// writeTallies writes in the order of keys, as writeCounts does.
func (t *txn) writeTallies() error {
	list := t.all.tallies
	slices.SortFunc(list, compareTallies)
	return qTally.Split(len(list), func(q *engine.Query, from, to int) error {
		args := make([]any, 0, 10*(to-from))
		for _, v := range list[from:to] {
			args = append(args, v.at, v.node, v.program, string(v.state), string(v.class), v.bin, v.n, v.run, v.cpu, v.wait)
		}
		_, err := t.w.Exec(q, args...)
		return err
	})
}

func compareTallies(a, b tally) int {
	return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.node, b.node), cmp.Compare(a.program, b.program),
		cmp.Compare(a.state, b.state), cmp.Compare(a.class, b.class), cmp.Compare(a.bin, b.bin))
}

// endIdle ends a job that does not run, by an update that returns its program,
// attempt, webhook and target, if it still is in state from.
func (t *txn) endIdle(q *engine.Query, id string, from, to jobs.State, e *jobs.Error) (bool, error) {
	v := &end{job: id, tally: tally{tallyKey: tallyKey{state: to, class: e.Class, bin: noBin}, n: 1}}
	args := []any{engine.Micros(t.now), engine.Micros(t.now), errorText(e), id, string(from)}
	done, err := t.Change(q, args, &v.name, &v.attempt, &v.webhook, &v.target)
	if err != nil || !done {
		return false, err
	}
	v.program = v.name
	if from == jobs.Waiting {
		awaits, err := t.awaits(id, v.name)
		if err != nil {
			return false, err
		}
		if awaits {
			v.program = ""
		}
	}
	t.count(v.program, from, to)
	t.ended(v)
	return true, nil
}

// faulty counts a job whose document has a fault. Its program may be any text,
// so that one that no node has announced is not told from others.
func (t *txn) faulty(r *Record, c *candidate) error {
	v := &end{job: r.ID, name: r.Program, webhook: c.webhook, target: elsewhere(c.target, t.l.base), tally: tally{
		tallyKey: tallyKey{program: r.Program, state: r.State, class: r.Error.Class, bin: noBin}, n: 1,
	}}
	known, err := t.announced(r.Program)
	if !known {
		v.program = ""
	}
	t.ended(v)
	return err
}
