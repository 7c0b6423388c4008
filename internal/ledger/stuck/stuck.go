// Package stuck finds jobs that do not come to a good end by themselves, and what holds
// them up.
package stuck

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Finder reads a ledger.
type Finder struct{ ledger engine.Access }

// New returns a Finder over a ledger.
func New(ledger engine.Access) *Finder { return &Finder{ledger} }

// Edge is a need of a job, of which both have ended without success.
type Edge struct{ Job, Need string }

var qFailedNeeds = engine.NewManyRows(`SELECT unmet.job, unmet.need FROM unmet JOIN jobs AS need ON need.id = unmet.need
	WHERE need.state IN ('failed', 'cancelled') AND unmet.job IN (`, 0, `)`)

// FailedNeeds returns the needs that have failed or were cancelled, of jobs that ended
// before they started.
func (f *Finder) FailedNeeds(ctx context.Context, jobs []string) (list []Edge, err error) {
	read := func(q *engine.Query, args []any, scan func(engine.Row) error) error {
		return f.ledger.Each(ctx, q, args, scan)
	}
	err = qFailedNeeds.Each(jobs, read, func(row engine.Row) error {
		var e Edge
		err := row.Scan(&e.Job, &e.Need)
		list = append(list, e)
		return err
	})
	return list, engine.Wrap("failed needs", err)
}
