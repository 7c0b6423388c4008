package nodes

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

// Drain means that a node, or the whole queue, takes no new work.
type Drain struct {
	Node   string // "" is the whole queue
	Since  time.Time
	By     string
	Reason string
}

var (
	qDrain = engine.NewQuery(`INSERT INTO drains (node, since, asker, reason) VALUES (?, ?, ?, ?)
		ON CONFLICT (node) DO UPDATE SET asker = excluded.asker, reason = excluded.reason`)
	qUndrain = engine.NewQuery("DELETE FROM drains WHERE node = ?")
	qDrains  = engine.NewQuery("SELECT node, since, asker, reason FROM drains ORDER BY node LIMIT 1000")
)

// Drain makes a node take no new work until Undrain, or with "" the queue no new jobs.
// It survives restarts. A second Drain changes By and Reason.
func (r *Registry) Drain(ctx context.Context, node, by, reason string) error {
	node, by, reason = engine.Clean(node, engine.MaxName), engine.Clean(by, engine.MaxName), engine.Clean(reason, engine.MaxMessage)
	err := r.ledger.Do(ctx, engine.Op{Name: "drain", Weight: 1, Run: func(t engine.Tx) error {
		if _, err := t.Exec(qDrain, node, engine.Micros(t.Now()), by, reason); err != nil {
			return err
		}
		t.Note(by, eventlog.KindDrained, "", node, sentence(drainText(node)+" takes no new work", reason))
		return nil
	}})
	return engine.Wrap("drain", err)
}

// Undrain ends a Drain. It does nothing if there is none.
func (r *Registry) Undrain(ctx context.Context, node, by string) error {
	node, by = engine.Clean(node, engine.MaxName), engine.Clean(by, engine.MaxName)
	err := r.ledger.Do(ctx, engine.Op{Name: "undrain", Weight: 1, Run: func(t engine.Tx) error {
		n, err := t.Exec(qUndrain, node)
		if n > 0 {
			t.Note(by, eventlog.KindUndrained, "", node, drainText(node)+" takes work again")
		}
		return err
	}})
	return engine.Wrap("undrain", err)
}

func drainText(node string) string {
	if node == "" {
		return "the queue"
	}
	return "node " + node
}

// Drains returns all drains, the queue first.
func (r *Registry) Drains(ctx context.Context) (list []Drain, err error) {
	err = r.ledger.Each(ctx, qDrains, nil, func(row engine.Row) error {
		var d Drain
		var since int64
		err := row.Scan(&d.Node, &since, &d.By, &d.Reason)
		d.Since = engine.FromMicros(since)
		list = append(list, d)
		return err
	})
	return list, engine.Wrap("drains", err)
}
