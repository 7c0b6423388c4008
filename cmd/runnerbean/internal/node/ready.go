package node

import (
	"cmp"
	"context"
	"errors"
)

// ready returns why /readyz is not ready: a disk is full or has failed, or the
// ledger or beanstalkd does not answer.
func (n *Node) ready(ctx context.Context) error {
	if low := n.gate.low.Load(); low != nil {
		return errors.New(*low)
	}
	if err := n.diskFailure(); err != nil {
		return err
	}
	if _, err := n.ledger.Activity.Counts(ctx); err != nil {
		return err
	}
	return n.dispatcher.Ping(ctx)
}

func (n *Node) diskFailure() error { return cmp.Or(n.ledger.Err(), n.store.Err()) }
