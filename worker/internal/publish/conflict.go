package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// maxStale bounds the earlier attempts whose results are looked for.
const maxStale = 16

// compareWithFirst compares a result with the one that is published already.
func (p *Publication) compareWithFirst(ctx context.Context, document []byte) error {
	_, first, err := p.readObject(ctx, store.ResultKey(p.record.ID))
	if err != nil {
		return fault.OfNode("the result that is published already cannot be read", err)
	}
	now, err := p.decode(document)
	if err != nil {
		return fault.OfNode("the result cannot be read", err)
	}
	p.compare(ctx, document, now, first)
	p.done = true
	return nil
}

// keepStale compares the result of an attempt that is not the newest with the published
// one. If there is none, it keeps the result, so that the newest attempt can compare it.
// Then it looks again, because a result may have been published meanwhile.
func (p *Publication) keepStale(ctx context.Context, document []byte) {
	mine, err := p.decode(document)
	if err != nil {
		p.logger.Error("the result of an attempt that came too late cannot be read", "err", err)
		return
	}
	_, winner, err := p.readWinner(ctx)
	if err != nil {
		if err := p.keepAside(ctx, mine.Attempt, document); err != nil {
			p.logger.Warn("the result of an attempt that came too late is not kept", "err", err)
		}
		_, winner, err = p.readWinner(ctx)
	}
	if err == nil {
		p.compare(ctx, document, mine, winner)
	}
}

// compareEarlier compares the published result of this attempt with those that earlier
// attempts kept aside while there was none. It removes a stray object.
func (p *Publication) compareEarlier(ctx context.Context, document []byte) {
	if p.record.Attempt == 1 {
		return
	}
	winner, err := p.decode(document)
	if err != nil {
		p.logger.Error("the result of this attempt cannot be read", "err", err)
		return
	}
	for n := max(1, p.record.Attempt-maxStale); n < p.record.Attempt; n++ {
		if late, stale, err := p.readObject(ctx, store.AsideKey(p.record.ID, n)); err == nil {
			p.compare(ctx, late, stale, winner)
		}
	}
	if p.result != nil {
		p.removeStray(ctx, winner)
	}
}

// removeStray removes the object of a job whose result is in the ledger: an attempt that
// was no longer the newest has created it.
func (p *Publication) removeStray(ctx context.Context, winner published) {
	key := store.ResultKey(p.record.ID)
	document, stray, err := p.readObject(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		p.logger.Warn("an object beside the result in the ledger cannot be read; it stays", "key", key, "err", err)
	case p.compare(ctx, document, stray, winner):
		p.drop(ctx, []string{key})
	}
}

// compare drops a late result, with its files, if it equals the winner. Otherwise it
// keeps it aside and records a conflict. It returns false if it could not be kept.
func (p *Publication) compare(ctx context.Context, document []byte, late, winner published) bool {
	switch {
	case late.Attempt == winner.Attempt:
	case late.equal(winner):
		keys := []string{store.AsideKey(p.record.ID, late.Attempt)}
		for _, file := range late.Artifacts {
			keys = append(keys, store.FileKey(p.record.ID, late.Attempt, file.Name))
		}
		p.drop(ctx, keys)
	default:
		return p.conflict(ctx, document, late.Attempt, winner.Attempt)
	}
	return true
}

// conflict keeps a result that differs from the published one and records an event. Both
// attempts may find the difference at the same time.
func (p *Publication) conflict(ctx context.Context, document []byte, loser, winner int) (kept bool) {
	message := fmt.Sprintf("attempt %d gave another result than attempt %d, which stays; the other one ", loser, winner)
	err := p.keepAside(ctx, loser, document)
	if err != nil {
		message += "could not be kept: " + err.Error()
	} else {
		message += "is kept as " + store.AsideKey(p.record.ID, loser)
	}
	if p.deterministic {
		message += "; program.json says that the program is deterministic"
	}
	p.note(ctx, p.cfg.Events.NoteOnce, "conflict", message)
	return err == nil
}

// keepAside stores a result beside the one that is published.
func (p *Publication) keepAside(ctx context.Context, attempt int, document []byte) error {
	err := p.cfg.Store.Create(ctx, store.AsideKey(p.record.ID, attempt), document)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
