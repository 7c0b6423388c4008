package node

import (
	"context"
	"fmt"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
)

// apart returns why the node must not take work: the folder of the store was unmounted,
// moved or replaced while the node runs, or another store was accepted for the ledger.
// It is nil if the ledger cannot be read.
func (n *Node) apart(ctx context.Context) error {
	if err := n.store.Attached(ctx, n.storeID); err != nil {
		return err
	}
	recorded, err := n.ledger.Pairing.Store(ctx)
	if err == nil && recorded != n.storeID.Store {
		return fmt.Errorf("%w: the ledger belongs to the store %s now, and the node works with %s: restart it", storepair.ErrApart, recorded, n.storeID.Store)
	}
	return nil
}
