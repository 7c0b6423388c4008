package nodes

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

var (
	// ErrAlive is returned for a node of which an instance is or may be alive.
	ErrAlive = errors.New("the node is or may be alive")
	// ErrRuns is returned for a dead node whose jobs have not been taken back yet.
	ErrRuns = errors.New("the node has running jobs that have yet to be taken back")
	// ErrNoNode is returned for a name of which nothing is recorded.
	ErrNoNode = errors.New("no such node")
)

var (
	qLivesOf     = engine.NewQuery("SELECT instance FROM nodes WHERE name = ? AND left_at = 0")
	qRunsOn      = engine.NewQuery("SELECT 1 FROM nodes WHERE name = ? AND EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND instance = nodes.instance)")
	qForgetNode  = engine.NewQuery("DELETE FROM nodes WHERE name = ?")
	qForgetRules = engine.NewQuery("DELETE FROM controls WHERE node = ?")
)

// Forget deletes what is recorded of a node that is dead or has left: its instances with
// their vitals, what persons have set for it, and its drain. It returns the number of
// instances. Jobs, attempts, events and counters keep its name. by is the person. A node
// that was only silent registers itself again with its next heartbeat.
func (r *Registry) Forget(ctx context.Context, name, by string) (n int, err error) {
	name, by = engine.Clean(name, engine.MaxName), engine.Clean(by, engine.MaxName)
	err = r.ledger.Do(ctx, engine.Op{Name: "forget", Weight: 1, Run: func(t engine.Tx) error {
		n, err = r.forget(t, name, by)
		return err
	}})
	return n, engine.Wrap("forget node", err)
}

func (r *Registry) forget(t engine.Tx, name, by string) (int, error) {
	if name == "" { // its drain is that of the queue
		return 0, ErrNoNode
	}
	lives, err := t.Strings(qLivesOf, name)
	for _, instance := range lives {
		alive, err := r.Alive(t, instance)
		if err != nil {
			return 0, err
		}
		if alive {
			return 0, ErrAlive
		}
	}
	if err != nil {
		return 0, err
	}
	var one int
	if runs, err := t.Row(qRunsOn, []any{name}, &one); err != nil || runs {
		return 0, errors.Join(err, ErrRuns)
	}
	instances, err := t.Exec(qForgetNode, name)
	rows := instances
	for _, q := range []*engine.Query{qForgetRules, qUndrain} {
		if err != nil {
			return 0, err
		}
		var n int64
		n, err = t.Exec(q, name)
		rows += n
	}
	if err != nil {
		return 0, err
	}
	if rows == 0 {
		return 0, ErrNoNode
	}
	t.Note(by, eventlog.KindForgotten, "", name, fmt.Sprintf("node %s is forgotten, with what was set for it", name))
	_, err = t.Exec(qForgetVitals)
	return int(instances), err
}
