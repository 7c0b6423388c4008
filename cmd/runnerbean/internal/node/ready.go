package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// ready returns why /readyz is not ready: the node is being stopped or in trouble, a
// disk is full or has failed, or the ledger or beanstalkd does not answer.
func (n *Node) ready(ctx context.Context) error {
	if n.stopping.Load() {
		return errors.New(n.stopReason())
	}
	if low := n.gate.low.Load(); low != nil {
		return errors.New(*low)
	}
	if trouble := n.worker.Trouble(); trouble != nil {
		return fmt.Errorf("%d jobs in a row have failed by a fault of this node, which tries one now and then: %s", trouble.Faults, trouble.Reason)
	}
	if err := n.diskFailure(); err != nil {
		return err
	}
	if _, err := n.ledger.Activity.Counts(ctx); err != nil {
		return err
	}
	return n.dispatcher.Ping(ctx)
}

// stopReason says why a node that ends takes nothing. It serves results until its last
// job has ended.
func (n *Node) stopReason() string {
	if text := n.leaving.Load(); text != nil {
		return *text
	}
	return "this node is being stopped"
}

// accept records documents, unless the node is being stopped.
func (n *Node) accept(ctx context.Context, documents [][]byte, submitter string) ([]ledger.Accepted, error) {
	if n.stopping.Load() {
		return nil, &dispatch.Held{Reason: n.stopReason() + ": send the job to another node, or again when this one is back"}
	}
	return n.dispatcher.Accept(ctx, documents, submitter)
}

func (n *Node) diskFailure() error { return cmp.Or(n.ledger.Err(), n.store.Err()) }
