package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxOutputBytes is the size in bytes of the largest list of files that is read.
const maxOutputBytes = 8 << 20

// attemptsWhole are the attempts of a job, with the files that those have left
// which are no success.
func (p *Publisher) attemptsWhole(ctx context.Context, id string) ([]api.Attempt, error) {
	found, err := p.cfg.Ledger.Attempts(ctx, id)
	if err != nil {
		return nil, err
	}
	list := attemptsOf(found)
	for i := range list[max(0, len(list)-jobs.MaxOutputs):] {
		a := &list[len(list)-1-i]
		if a.Outcome == "" || a.Outcome == jobs.OutcomeSucceeded {
			continue
		}
		left, err := p.leftBy(ctx, id, a.Number)
		if err != nil {
			return list, err
		}
		a.Artifacts, a.LeftOut = left.Artifacts, left.LeftOut
	}
	return list, nil
}

// leftBy is what an attempt has left without a success; empty where that is
// nothing, or not kept any more.
func (p *Publisher) leftBy(ctx context.Context, id string, attempt int) (out jobs.Output, err error) {
	object, err := p.cfg.Store.Open(ctx, store.OutputKey(id, attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer object.Close()
	err = json.NewDecoder(io.LimitReader(object, maxOutputBytes)).Decode(&out)
	return out, err
}
