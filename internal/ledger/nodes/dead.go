package nodes

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// noBeat is the heartbeat of an instance that is not registered.
const noBeat = -1

var (
	qBeats   = engine.NewQuery("SELECT instance, beat, lease FROM nodes WHERE left_at = 0")
	qBeatOf  = engine.NewQuery("SELECT beat, lease FROM nodes WHERE instance = ?")
	qRunners = engine.NewQuery("SELECT DISTINCT instance FROM jobs WHERE state = 'running'")
	qHasLeft = engine.NewQuery("SELECT 1 FROM nodes WHERE instance = ? AND left_at > 0")
)

// Dead returns the instances that have running jobs and are dead: they have left, or
// this process has not seen their heartbeat change for their lease.
func (r *Registry) Dead(ctx context.Context) (list []string, err error) {
	now, seen := r.live.clock(), map[string]bool{}
	alive := map[string]bool{}
	err = r.ledger.Each(ctx, qBeats, nil, func(row engine.Row) error {
		var instance string
		var beat, lease int64
		if err := row.Scan(&instance, &beat, &lease); err != nil {
			return err
		}
		seen[instance], alive[instance] = true, r.live.alive(instance, beat, lease, now)
		return nil
	})
	if err != nil {
		return nil, err
	}
	running, err := r.runners(ctx)
	for _, instance := range running {
		if !seen[instance] {
			left := 0
			if _, err := r.ledger.Row(ctx, qHasLeft, []any{instance}, &left); err != nil {
				return nil, err
			}
			seen[instance], alive[instance] = true, r.live.alive(instance, noBeat, 0, now) && left == 0
		}
		if !alive[instance] {
			list = append(list, instance)
		}
	}
	r.live.keep(seen)
	return list, err
}

// runners returns the instances that have running jobs.
func (r *Registry) runners(ctx context.Context) (list []string, err error) {
	err = r.ledger.Each(ctx, qRunners, nil, func(row engine.Row) error {
		var instance string
		err := row.Scan(&instance)
		list = append(list, instance)
		return err
	})
	return list, err
}

// Alive reports whether the heartbeat of an instance was seen to change within its lease.
func (r *Registry) Alive(t engine.Tx, instance string) (bool, error) {
	var beat, lease int64
	found, err := t.Row(qBeatOf, []any{instance}, &beat, &lease)
	if err != nil || !found || beat == 0 {
		return false, err
	}
	return r.live.alive(instance, beat, lease, r.live.clock()), nil
}
