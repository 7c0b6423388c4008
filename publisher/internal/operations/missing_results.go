package operations

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// onlyMissing leaves out the jobs whose results are not missing, if the verb is for
// missing ones. They count as not selected.
func (o *Operations) onlyMissing(ctx context.Context, v Verb, list []ledger.Record) ([]ledger.Record, error) {
	if !v.Missing {
		return list, nil
	}
	var lost []ledger.Record
	for _, rec := range list {
		missing, err := o.missing(ctx, rec)
		if err != nil {
			return nil, err
		}
		if missing {
			lost = append(lost, rec)
		}
	}
	return lost, nil
}

// present takes the named successes out of the list whose results are not missing.
func (o *Operations) present(ctx context.Context, list []ledger.Record) (rest, present []ledger.Record, err error) {
	for _, rec := range list {
		missing, err := o.missing(ctx, rec)
		switch {
		case err != nil:
			return nil, nil, err
		case missing || rec.State != jobs.Succeeded:
			rest = append(rest, rec)
		default:
			present = append(present, rec)
		}
	}
	return rest, present, nil
}
