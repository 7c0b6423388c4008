package retention

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/keepspan"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxLooks limits the jobs with a keep in their document that one call looks at,
	// maxRows the others, and maxPairs the programs and states.
	maxLooks = 200
	maxRows  = 500
	maxPairs = 1000
	// putOff is how long a job is left alone that could not be deleted, and leastWait how
	// long at least one that has not ended.
	putOff    = time.Hour
	leastWait = time.Minute
)

// Due is a job that has been kept long enough.
type Due struct {
	ID      string
	Updated time.Time // deletes the job only if it has not changed since
}

// Walk is how far a node has come in its search for jobs that are due. The zero Walk
// begins.
type Walk struct {
	// Keep is the setting of the node. It holds where neither the document nor the program
	// says something.
	Keep jobs.Keep

	// The place in the index of ended jobs by program and state.
	program  string
	state    jobs.State
	accepted int64
	id       string
}

var (
	qLook = engine.NewQuery(`SELECT id, program, state, finished, updated, keep, look_at FROM jobs
		WHERE look_at > 0 AND look_at <= ? ORDER BY look_at, id LIMIT ?`)
	qLookAt   = engine.NewQuery("UPDATE jobs SET look_at = ? WHERE id = ? AND look_at = ? AND updated = ?")
	qPutOff   = engine.NewQuery("UPDATE jobs SET look_at = ? WHERE id = ? AND look_at > 0")
	qKeeps    = engine.NewQuery("SELECT name, keep FROM programs WHERE keep <> ''")
	qNextPair = engine.NewQuery(`SELECT program, state FROM jobs WHERE state NOT IN ('queued', 'running')
		AND (program, state, accepted) > (?, ?, 9223372036854775807) ORDER BY program, state, accepted LIMIT 1`)
	qEnded = engine.NewQuery(`SELECT id, program, state, finished, updated, keep, accepted FROM jobs
		WHERE state NOT IN ('queued', 'running') AND program = ? AND state = ? AND (accepted, id) > (?, ?) AND accepted < ?
		ORDER BY accepted, id LIMIT ?`)
)

// row is a job that retention looks at.
type row struct {
	id, program       string
	state             jobs.State
	finished, updated int64
	keep              string
	at                int64 // look_at or accepted
}

func scanRow(r engine.Row) (v row, err error) {
	err = r.Scan(&v.id, &v.program, (*string)(&v.state), &v.finished, &v.updated, &v.keep, &v.at)
	return v, err
}

// own returns what the document says about how long its job is kept; 0 for nothing.
func (v *row) own() jobs.Duration {
	k, _ := keepspan.Parse(v.keep) // the ledger has written it
	return keepspan.Of(k, v.state)
}

// end returns when a job has been kept for a span; 0 for never.
func (v *row) end(span jobs.Duration) int64 {
	if span == jobs.Forever || span == 0 {
		return 0
	}
	return v.finished + time.Duration(span).Microseconds()
}

func (v *row) due() Due { return Due{ID: v.id, Updated: engine.FromMicros(v.updated)} }

// Looks returns jobs that are due because of their documents, and puts off those that
// come later. It looks at 200 at most, and reports whether there may be more.
func (r *Retention) Looks(ctx context.Context) (list []Due, more bool, err error) {
	now := r.ledger.Now()
	var rows, later []row
	err = r.ledger.Each(ctx, qLook, []any{engine.Micros(now), maxLooks}, func(er engine.Row) error {
		v, err := scanRow(er)
		rows = append(rows, v)
		return err
	})
	for i := range rows {
		if v := &rows[i]; v.state.Final() && v.end(v.own()) > 0 && v.end(v.own()) <= engine.Micros(now) {
			list = append(list, v.due())
		} else {
			later = append(later, *v)
		}
	}
	if err == nil && len(later) > 0 {
		err = r.lookLater(ctx, later)
	}
	return list, len(rows) == maxLooks, engine.Wrap("retention looks", err)
}

// lookLater sets when jobs are looked at next. A job is not looked at any more if its
// document lets it stay, or says nothing about the state in which it ended.
func (r *Retention) lookLater(ctx context.Context, rows []row) error {
	return r.ledger.Do(ctx, engine.Op{Name: "retention-look", Weight: len(rows), Soft: true, Run: func(t engine.Tx) error {
		for i := range rows {
			v := &rows[i]
			next := v.end(v.own())
			if !v.state.Final() {
				k, _ := keepspan.Parse(v.keep)
				next = engine.Micros(t.Now().Add(max(leastWait, keepspan.Shortest(k))))
			}
			if _, err := t.Exec(qLookAt, next, v.id, v.at, v.updated); err != nil {
				return err
			}
		}
		return nil
	}})
}

// PutOff makes Looks leave jobs alone for an hour that could not be deleted.
func (r *Retention) PutOff(ctx context.Context, ids []string) error {
	err := r.ledger.Do(ctx, engine.Op{Name: "retention-look", Weight: len(ids), Soft: true, Run: func(t engine.Tx) error {
		for _, id := range ids {
			if _, err := t.Exec(qPutOff, engine.Micros(t.Now().Add(putOff)), id); err != nil {
				return err
			}
		}
		return nil
	}})
	return engine.Wrap("retention looks", err)
}

// Next goes on with a walk over the jobs that have ended. It returns jobs that are due
// because of their programs or the setting. It reads at most 500 jobs and returns
// more = false at the end of the walk, which then begins again.
func (r *Retention) Next(ctx context.Context, w *Walk) (list []Due, more bool, err error) {
	programs, err := r.keeps(ctx)
	if err != nil {
		return nil, false, engine.Wrap("retention", err)
	}
	for range maxPairs {
		span := keepspan.Of(keepspan.Or(programs[w.program], w.Keep), w.state)
		if w.state.Final() && span > 0 && span < jobs.Forever {
			rows, err := r.ended(ctx, w, span, &list)
			if err != nil || rows == maxRows {
				return list, true, engine.Wrap("retention", err)
			}
		}
		found, err := r.ledger.Row(ctx, qNextPair, []any{w.program, string(w.state)}, &w.program, (*string)(&w.state))
		w.accepted, w.id = 0, ""
		if err != nil || !found {
			w.program, w.state = "", ""
			return list, false, engine.Wrap("retention", err)
		}
		if len(list) > 0 {
			return list, true, nil
		}
	}
	return list, true, nil
}

// ended reads jobs of one program and state, and adds those that are due. It returns how
// many it has read.
func (r *Retention) ended(ctx context.Context, w *Walk, span jobs.Duration, list *[]Due) (n int, err error) {
	now := r.ledger.Now()
	limit := engine.Micros(now) - time.Duration(span).Microseconds()
	args := []any{w.program, string(w.state), w.accepted, w.id, limit, maxRows}
	err = r.ledger.Each(ctx, qEnded, args, func(er engine.Row) error {
		v, err := scanRow(er)
		if err != nil {
			return err
		}
		n++
		w.accepted, w.id = v.at, v.id
		if v.own() == 0 && v.end(span) <= engine.Micros(now) {
			*list = append(*list, v.due())
		}
		return nil
	})
	return n, err
}

// keeps returns what programs say about how long their jobs are kept.
func (r *Retention) keeps(ctx context.Context) (map[string]jobs.Keep, error) {
	list := map[string]jobs.Keep{}
	err := r.ledger.Each(ctx, qKeeps, nil, func(row engine.Row) error {
		var name, text string
		err := row.Scan(&name, &text)
		list[name], _ = keepspan.Parse(text) // the node has checked it
		return err
	})
	return list, err
}
