package nodes

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// noBeat is the heartbeat of an instance that is not registered.
const noBeat = -1

var (
	qBeats   = engine.NewQuery("SELECT instance, beat FROM nodes WHERE left_at = 0")
	qBeatOf  = engine.NewQuery("SELECT beat FROM nodes WHERE instance = ?")
	qRunners = engine.NewQuery("SELECT DISTINCT instance FROM jobs WHERE state = 'running'")
	qHasLeft = engine.NewQuery("SELECT 1 FROM nodes WHERE instance = ? AND left_at > 0")
)

// Dead returns the instances that have running jobs and are dead: they have left, or
// this process has not seen their heartbeat change for the lease.
func (r *Registry) Dead(ctx context.Context) (list []string, err error) {
	now, seen := r.live.clock(), map[string]bool{}
	ages := map[string]time.Duration{}
	err = r.ledger.Each(ctx, qBeats, nil, func(row engine.Row) error {
		var instance string
		var beat int64
		if err := row.Scan(&instance, &beat); err != nil {
			return err
		}
		seen[instance], ages[instance] = true, now.Sub(r.live.see(instance, beat, now).at)
		return nil
	})
	if err != nil {
		return nil, err
	}
	running, err := r.runners(ctx)
	for _, instance := range running {
		age, registered := ages[instance]
		if !registered {
			left := 0
			if _, err := r.ledger.Row(ctx, qHasLeft, []any{instance}, &left); err != nil {
				return nil, err
			}
			seen[instance] = true
			age = now.Sub(r.live.see(instance, noBeat, now).at)
			if left == 1 {
				age = r.live.lease
			}
		}
		if age >= r.live.lease {
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

// Alive reports whether the heartbeat of an instance was seen to change within the
// lease.
func (r *Registry) Alive(t engine.Tx, instance string) (bool, error) {
	var beat int64
	found, err := t.Row(qBeatOf, []any{instance}, &beat)
	if err != nil || !found || beat == 0 {
		return false, err
	}
	now := r.live.clock()
	return now.Sub(r.live.see(instance, beat, now).at) < r.live.lease, nil
}
