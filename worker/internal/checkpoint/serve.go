package checkpoint

import (
	"context"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

// Able reports whether the program saves on request.
func (k *Keeper) Able() bool { return k != nil && k.cfg.Signal != nil }

// Request asks the program for a checkpoint, once for each key. The caller repeats the call
// until the state is another one than Waiting; a program that has no handler for the signal
// yet gets it at a later call. The error says why a request has failed.
func (k *Keeper) Request(by Asker, key string) (State, error) { return k.requests.ask(by, key) }

// Serve passes a person's request on to the program, and ends it once it has an answer. The
// caller repeats the call as long as the ledger has the request.
func (k *Keeper) Serve(ctx context.Context, r checkpoints.Request) error {
	state, why := k.Request(Person, r.At.String())
	if state == Waiting {
		return nil
	}
	if why != nil {
		asked := "the checkpoint that was asked for"
		if r.By != "" {
			asked = "the checkpoint for which " + r.By + " has asked"
		}
		if err := k.record(ctx, eventlog.KindCheckpointNone, fmt.Sprintf("%s is not kept: %v", asked, why)); err != nil {
			return err
		}
	}
	return k.cfg.Ledger.Answered(ctx, r)
}
