package engine

import (
	"context"
	"slices"
	"time"
)

// pruneSteps limits the steps that one call deletes. A clock that is years ahead for a
// moment then costs few rows.
const pruneSteps = 60

// rollupWeight is the Weight of statements that change many rows.
const rollupWeight = 256

// Old is a table whose old rows are deleted.
type Old struct {
	Oldest, Delete *Query
	Key            []any // of both
	Keep, Step     time.Duration
}

// Prune deletes rows that are older than Keep. It reads first and writes only if there
// is something to delete.
func (a Access) Prune(ctx context.Context, tables []Old) error {
	now := a.Now()
	for _, o := range tables {
		var oldest int64
		found, err := a.Row(ctx, o.Oldest, o.Key, &oldest)
		limit := now.Add(-o.Keep)
		if err != nil {
			return err
		}
		if !found || oldest >= Micros(limit) {
			continue
		}
		until := min(Micros(limit), oldest+pruneSteps*o.Step.Microseconds())
		if err := a.Rollup(ctx, []*Query{o.Delete}, append(slices.Clone(o.Key), until)...); err != nil {
			return err
		}
	}
	return nil
}

// Rollup runs statements in one transaction, all with the same arguments.
func (a Access) Rollup(ctx context.Context, list []*Query, args ...any) error {
	return a.Do(ctx, Op{Name: "rollup", Weight: rollupWeight, Soft: true, Run: func(t Tx) error {
		for _, q := range list {
			if _, err := t.Exec(q, args...); err != nil {
				return err
			}
		}
		return nil
	}})
}
