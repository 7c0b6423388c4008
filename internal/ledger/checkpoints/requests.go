package checkpoints

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

// ErrUnable is the refusal of Ask for a program that does not save on request.
var ErrUnable = errors.New("its program does not save a checkpoint on request")

// forgetRequests is how long a request stays that nobody has answered. Nodes give one up long
// before.
const forgetRequests = 24 * time.Hour

// Request is what a person asks of a running program: a checkpoint.
type Request struct {
	Job     string
	Attempt int
	At      time.Time
	By      string // the person
}

var (
	qAnnounced = engine.NewQuery("SELECT programs FROM nodes WHERE instance = ?")
	qAsk       = engine.NewQuery(`INSERT INTO checkpoint_requests (job, attempt, at, asker) VALUES (?, ?, ?, ?)
		ON CONFLICT (job) DO UPDATE SET attempt = excluded.attempt, at = excluded.at, asker = excluded.asker
		WHERE checkpoint_requests.attempt <> excluded.attempt`)
	qRequests   = engine.NewManyRows("SELECT job, attempt, at, asker FROM checkpoint_requests WHERE job IN (", 0, ")")
	qAnswered   = engine.NewQuery("DELETE FROM checkpoint_requests WHERE job = ? AND attempt = ? AND at = ?")
	qAnyExpired = engine.NewQuery("SELECT 1 FROM checkpoint_requests WHERE at < ? LIMIT 1")
	qExpired    = engine.NewQuery("DELETE FROM checkpoint_requests WHERE at < ?")
)

// Runner is the program that runs a job, and where.
type Runner struct{ Instance, Node, Program string }

// Ask asks the program that runs an attempt for a checkpoint, in a transaction. by is the
// person. A second request before the answer changes nothing. refusal is ErrUnable if the
// node does not announce that the program saves on request.
func Ask(t engine.Tx, job string, attempt int, r Runner, by string) (refusal, err error) {
	able, err := announced(t, r)
	if err != nil || !able {
		return ErrUnable, err
	}
	n, err := t.Exec(qAsk, job, attempt, engine.Micros(t.Now()), by)
	if n > 0 {
		t.Changed(job)
		t.Note(by, eventlog.KindCheckpointAsked, job, r.Node, "the program is asked for a checkpoint")
	}
	return nil, err
}

// announced reports whether the instance that runs a program announces that it saves on request.
func announced(t engine.Tx, r Runner) (bool, error) {
	text := ""
	found, err := t.Row(qAnnounced, []any{r.Instance}, &text)
	if err != nil || !found || text == "" {
		return false, err
	}
	var list []nodes.Program
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return false, err
	}
	return slices.ContainsFunc(list, func(p nodes.Program) bool { return p.Name == r.Program && p.Checkpoint }), nil
}

// Requests returns what is asked of the programs that run jobs.
func (c *Checkpoints) Requests(ctx context.Context, ids []string) (list []Request, err error) {
	read := func(q *engine.Query, args []any, scan func(engine.Row) error) error {
		return c.ledger.Each(ctx, q, args, scan)
	}
	err = qRequests.Each(ids, read, func(row engine.Row) error {
		var r Request
		var at int64
		err := row.Scan(&r.Job, &r.Attempt, &at, &r.By)
		r.At = engine.FromMicros(at)
		list = append(list, r)
		return err
	})
	return list, engine.Wrap("checkpoint requests", err)
}

// Answered ends a request.
func (c *Checkpoints) Answered(ctx context.Context, r Request) error {
	err := c.ledger.Do(ctx, engine.Op{Name: "answer-checkpoint", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
		t.Changed(r.Job)
		_, err := t.Exec(qAnswered, r.Job, r.Attempt, engine.Micros(r.At))
		return err
	}})
	return engine.Wrap("answer checkpoint request", err)
}
