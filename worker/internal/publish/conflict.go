package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/go-json-experiment/json"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// maxStale bounds the earlier attempts whose results are looked for.
const maxStale = 16

// compareWithFirst compares a result with the one that is published already.
func (p *Publication) compareWithFirst(ctx context.Context, r *Run, document []byte) error {
	_, first, err := p.readResult(ctx, store.ResultKey(p.record.ID))
	if err != nil {
		return fault.OfNode("the result that is published already cannot be read", err)
	}
	var now published
	if err := json.Unmarshal(document, &now); err != nil {
		return fault.OfNode("the result cannot be read", err)
	}
	p.compare(ctx, r, document, now, first)
	p.done = true
	return nil
}

// keepStale compares the result of an attempt that is not the newest with the published
// one. If there is none, it keeps the result, so that the newest attempt can compare it.
// Then it looks again, because a result may have been published meanwhile.
func (p *Publication) keepStale(ctx context.Context, r *Run, document []byte) {
	var mine published
	if err := json.Unmarshal(document, &mine); err != nil {
		p.logger.Error("the result of an attempt that came too late cannot be read", "err", err)
		return
	}
	_, winner, err := p.readResult(ctx, store.ResultKey(p.record.ID))
	if err != nil {
		if err := p.keepAside(ctx, mine.Attempt, document); err != nil {
			p.logger.Warn("the result of an attempt that came too late is not kept", "err", err)
		}
		_, winner, err = p.readResult(ctx, store.ResultKey(p.record.ID))
	}
	if err == nil {
		p.compare(ctx, r, document, mine, winner)
	}
}

// compareStale compares the published result with those that earlier attempts kept
// aside while there was none.
func (p *Publication) compareStale(ctx context.Context, r *Run, document []byte) {
	var winner published
	for n := max(1, p.record.Attempt-maxStale); n < p.record.Attempt; n++ {
		late, stale, err := p.readResult(ctx, store.AsideKey(p.record.ID, n))
		if err == nil && json.Unmarshal(document, &winner) == nil {
			p.compare(ctx, r, late, stale, winner)
		}
	}
}

// compare drops a late result, with its files, if it equals the winner. Otherwise it
// keeps it aside and records a conflict.
func (p *Publication) compare(ctx context.Context, r *Run, document []byte, late, winner published) {
	switch {
	case late.Attempt == winner.Attempt:
	case late.equal(winner):
		keys := []string{store.AsideKey(p.record.ID, late.Attempt)}
		for _, file := range late.Artifacts {
			keys = append(keys, store.FileKey(p.record.ID, late.Attempt, file.Name))
		}
		p.drop(ctx, keys)
	default:
		p.conflict(ctx, r, document, late.Attempt, winner.Attempt)
	}
}

// conflict keeps a result that differs from the published one and records an event.
func (p *Publication) conflict(ctx context.Context, r *Run, document []byte, loser, winner int) {
	message := fmt.Sprintf("attempt %d gave another result than attempt %d, which stays; the other one ", loser, winner)
	if err := p.keepAside(ctx, loser, document); err != nil {
		message += "could not be kept: " + err.Error()
	} else {
		message += "is kept as " + store.AsideKey(p.record.ID, loser)
	}
	if r.Deterministic {
		message += "; program.json says that the program is deterministic"
	}
	p.Note(ctx, "conflict", message)
}

// keepAside stores a result beside the one that is published.
func (p *Publication) keepAside(ctx context.Context, attempt int, document []byte) error {
	err := p.cfg.Store.Create(ctx, store.AsideKey(p.record.ID, attempt), document)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
