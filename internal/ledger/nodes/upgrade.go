package nodes

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Upgrade is an upgrade of the ledger that another process waits to do.
type Upgrade struct {
	Schema int    // the version of the schema that it leads to
	Asker  string // the other process, such as "node n2"
	// Renewed changes every second while the other process waits.
	Renewed int64
}

var qUpgrade = engine.NewQuery("SELECT version, asker, renewed FROM upgrade WHERE one = 1 AND version > ?")

// Upgrade returns the upgrade to a schema that this program does not know, or nil. It may
// be left by a process that was killed: it is wanted only if Renewed changes.
func (r *Registry) Upgrade(ctx context.Context) (*Upgrade, error) {
	var u Upgrade
	found, err := r.ledger.Row(ctx, qUpgrade, []any{r.schema}, &u.Schema, &u.Asker, &u.Renewed)
	if err != nil || !found {
		return nil, engine.Wrap("upgrade", err)
	}
	return &u, nil
}
