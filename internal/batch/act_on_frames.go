package batch

import (
	"context"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/batches"
)

const (
	// actChunk is how many jobs a person's verb changes in one transaction.
	actChunk = 100
	// listChunk is how many frames without success one read takes.
	listChunk = 1000
	// everyFrame is below all numbers of frames and that of the bundle.
	everyFrame = batches.Bundle - 1
	// asker is who retries and cancels frames.
	asker = "the batch"
)

// cancelFrames cancels the open frames of a batch. It returns how many there were.
func cancelFrames(ctx context.Context, cfg *Config, id string, verb ledger.Verb) (open int, err error) {
	for after := everyFrame; ; {
		list, err := cfg.Ledger.Batches.Open(ctx, id, after, actChunk)
		if err != nil || len(list) == 0 {
			return open, err
		}
		open += len(list)
		after = list[len(list)-1].Number
		if err := act(ctx, cfg, verb, list); err != nil {
			return open, err
		}
	}
}

// retryFrames queues frames again that failed or were cancelled before a time. A frame can only
// run after those that it needs, so it goes over them until none is left that can.
func retryFrames(ctx context.Context, cfg *Config, id string, before time.Time) error {
	for left := -1; ; {
		n := 0
		for after := everyFrame; ; {
			list, err := cfg.Ledger.Batches.Unsuccessful(ctx, id, after, before, listChunk)
			if err != nil {
				return err
			}
			if len(list) == 0 {
				break
			}
			n += len(list)
			after = list[len(list)-1].Number
			if err := act(ctx, cfg, ledger.VerbRetry, list); err != nil {
				return err
			}
		}
		if n == 0 || n == left {
			return nil
		}
		left = n
	}
}

// act applies a verb to frames. A frame that refuses it stays as it is.
func act(ctx context.Context, cfg *Config, verb ledger.Verb, list []batches.Frame) error {
	for some := range slices.Chunk(list, actChunk) {
		targets := make([]ledger.Target, len(some))
		for i := range some {
			targets[i].ID = some[i].Job
		}
		if _, err := cfg.Dispatcher.Act(ctx, verb, asker, targets); err != nil {
			return err
		}
	}
	return nil
}
