package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxDocument is the largest result that is read back, in bytes.
	maxDocument = 512 << 20
	// maxStrays is how many earlier attempts are looked at for results that came
	// too late.
	maxStrays = 16
)

var errNothing = errors.New("nothing is published yet")

// fence asks the ledger, until it answers, whether the attempt is still the
// newest of its job: errStale if not. A node may have been away for any time
// between its last look and a publish.
func (a *attempt) fence(ctx context.Context) error {
	for try := 1; ; try++ {
		err := a.cfg.Ledger.Holds(ctx, a.record.ID, a.record.Attempt)
		switch {
		case err == nil:
			return nil
		case stale(err):
			return errStale
		case try&(try-1) == 0: // the first, second, fourth …
			a.logger.Error("a result waits for the ledger", "err", err)
		}
		if !sleep(ctx, min(a.backoff.wait(try), troubleMost)) {
			return nodeFault("the ledger does not answer", err)
		}
	}
}

// published is what two results of one job are compared by.
type published struct {
	ID        string          `json:"id"`
	State     jobs.State      `json:"state"`
	Attempt   int             `json:"attempt"`
	Result    jsontext.Value  `json:"result"`
	Artifacts []jobs.Artifact `json:"artifacts"`
}

func (p published) equal(q published) bool {
	return bytes.Equal(p.Result, q.Result) && slices.EqualFunc(p.Artifacts, q.Artifacts,
		func(a, b jobs.Artifact) bool { return a.Name == b.Name && a.Size == b.Size && a.SHA256 == b.SHA256 })
}

// readResult reads a result of the job; fs.ErrNotExist where there is none.
func (a *attempt) readResult(ctx context.Context, key string) ([]byte, published, error) {
	var p published
	object, err := a.cfg.Store.Open(ctx, key)
	if err != nil {
		return nil, p, err
	}
	defer object.Close()
	document, err := io.ReadAll(io.LimitReader(object, maxDocument))
	if err != nil {
		return nil, p, err
	}
	if err := json.Unmarshal(document, &p); err != nil {
		return nil, p, err
	}
	if p.ID != a.record.ID || p.State != jobs.Succeeded {
		return nil, p, fmt.Errorf("it is not a result of job %s", a.record.ID)
	}
	return document, p, nil
}

func (a *attempt) readPublished(ctx context.Context) ([]byte, published, error) {
	return a.readResult(ctx, store.ResultKey(a.record.ID))
}

// adopt takes the result that an earlier attempt published before it died;
// errNothing if there is none. That attempt may not have come to the sync of the
// folder, so that the result is created again: where it is there, that is just
// the sync.
func (a *attempt) adopt(ctx context.Context) error {
	document, _, err := a.readPublished(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return errNothing
	}
	if err != nil {
		return nodeFault("the result of an earlier attempt cannot be read", err)
	}
	err = a.cfg.Store.Create(ctx, store.ResultKey(a.record.ID), document)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nodeFault("the result of an earlier attempt cannot be brought to the disk", err)
	}
	a.document = document
	return nil
}

// second comes after a result that is published already: an equal one changes
// nothing, another one is kept aside.
func (a *attempt) second(ctx context.Context, document []byte) error {
	first, before, err := a.readPublished(ctx)
	if err != nil {
		return nodeFault("the result that is published already cannot be read", err)
	}
	var now published
	if err := json.Unmarshal(document, &now); err != nil {
		return nodeFault("the result cannot be read", err)
	}
	a.compare(ctx, document, now, before)
	a.document = first
	return nil
}

// stray puts away the result of an attempt that is not its job's newest any
// more. Where nothing is published yet it is kept aside for the winner to
// compare, and looked at once more, because there may be one by now.
func (a *attempt) stray(ctx context.Context, document []byte) {
	var mine published
	if err := json.Unmarshal(document, &mine); err != nil {
		a.logger.Error("the result of an attempt that came too late cannot be read", "err", err)
		return
	}
	_, winner, err := a.readPublished(ctx)
	if err != nil {
		if err := a.keepAside(ctx, mine.Attempt, document); err != nil {
			a.logger.Warn("the result of an attempt that came too late is not kept", "err", err)
		}
		_, winner, err = a.readPublished(ctx)
	}
	if err == nil {
		a.compare(ctx, document, mine, winner)
	}
}

// compareStrays looks at what earlier attempts left aside while there was
// nothing to compare it with.
func (a *attempt) compareStrays(ctx context.Context, document []byte) {
	var winner published
	for n := max(1, a.record.Attempt-maxStrays); n < a.record.Attempt; n++ {
		late, stray, err := a.readResult(ctx, store.AsideKey(a.record.ID, n))
		if err == nil && json.Unmarshal(document, &winner) == nil {
			a.compare(ctx, late, stray, winner)
		}
	}
}

// compare drops a result that equals the one that is published, with its files,
// and keeps another one aside.
func (a *attempt) compare(ctx context.Context, document []byte, late, winner published) {
	switch {
	case late.Attempt == winner.Attempt:
	case late.equal(winner):
		keys := []string{store.AsideKey(a.record.ID, late.Attempt)}
		for _, file := range late.Artifacts {
			keys = append(keys, store.FileKey(a.record.ID, late.Attempt, file.Name))
		}
		a.drop(ctx, keys)
	default:
		a.conflict(ctx, document, late.Attempt, winner.Attempt)
	}
}

func (a *attempt) conflict(ctx context.Context, document []byte, loser, winner int) {
	message := fmt.Sprintf("attempt %d gave another result than attempt %d, which stays; the other one ", loser, winner)
	if err := a.keepAside(ctx, loser, document); err != nil {
		message += "could not be kept: " + err.Error()
	} else {
		message += "is kept as " + store.AsideKey(a.record.ID, loser)
	}
	if a.program.manifest.Deterministic {
		message += "; program.json says that the program is deterministic"
	}
	a.note(ctx, "conflict", message)
}

func (a *attempt) keepAside(ctx context.Context, attempt int, document []byte) error {
	err := a.cfg.Store.Create(ctx, store.AsideKey(a.record.ID, attempt), document)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// drop removes objects that no result names.
func (a *attempt) drop(ctx context.Context, keys []string) {
	for _, key := range keys {
		if err := a.cfg.Store.Delete(ctx, key); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.logger.Warn("an object that is not wanted any more is left in the store", "key", key, "err", err)
		}
	}
}
