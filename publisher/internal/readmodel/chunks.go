package readmodel

import (
	"context"
	"slices"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
)

// chunks returns the newest chunks of a job, each once, with all attempts that worked on it.
func (p *Jobs) chunks(ctx context.Context, id string) ([]api.Chunk, error) {
	found, err := p.cfg.Ledger.Chunks.List(ctx, id, chunks.Keep)
	if err != nil {
		return nil, err
	}
	var list []api.Chunk
	places := map[string]int{}
	for _, c := range found {
		i, known := places[c.ID]
		if !known {
			i = len(list)
			places[c.ID] = i
			list = append(list, api.Chunk{ID: c.ID, Of: c.Of, Began: c.Began})
		}
		list[i].Attempts = append(list[i].Attempts, c.Attempt)
	}
	for _, c := range list {
		slices.Reverse(c.Attempts)
	}
	return list, nil
}
