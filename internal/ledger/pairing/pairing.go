// Package pairing records which store belongs to the ledger.
package pairing

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

// Pairing is the record of the store of a ledger.
type Pairing struct{ ledger engine.Access }

// New returns the record of the store of a ledger.
func New(ledger engine.Access) *Pairing { return &Pairing{ledger} }

var (
	qStore = engine.NewQuery("SELECT store FROM identity WHERE one = 1")
	qClaim = engine.NewQuery("UPDATE identity SET store = ? WHERE one = 1 AND store = ''")
	qSet   = engine.NewQuery("UPDATE identity SET store = ? WHERE one = 1")
)

// Store returns the id of the store that belongs to the ledger. It is empty until a node
// has recorded it.
func (p *Pairing) Store(ctx context.Context) (id string, err error) {
	_, err = p.ledger.Row(ctx, qStore, nil, &id)
	return id, engine.Wrap("store of the ledger", err)
}

// Claim records a store unless one is recorded, and returns the one that is recorded
// then.
func (p *Pairing) Claim(ctx context.Context, store string) (recorded string, err error) {
	err = p.ledger.Do(ctx, engine.Op{Name: "claim-store", Weight: 1, Run: func(t engine.Tx) error {
		if _, err := t.Exec(qClaim, store); err != nil {
			return err
		}
		_, err := t.Row(qStore, nil, &recorded)
		return err
	}})
	return recorded, engine.Wrap("claim store", err)
}

// Accept records a store in place of another one, with an event. by is the person that
// wants it, and folder is where the store is.
func (p *Pairing) Accept(ctx context.Context, store, folder, by string) error {
	err := p.ledger.Do(ctx, engine.Op{Name: "accept-store", Weight: 1, Run: func(t engine.Tx) error {
		var before string
		if _, err := t.Row(qStore, nil, &before); err != nil {
			return err
		}
		if _, err := t.Exec(qSet, store); err != nil {
			return err
		}
		text := "the store " + store + " at " + folder + " belongs to this ledger now"
		if before != "" {
			text += ", in place of " + before
		}
		t.Note(engine.Clean(by, engine.MaxName), eventlog.KindStoreAccepted, "", "", engine.Clean(text, engine.MaxMessage))
		return nil
	}})
	return engine.Wrap("accept store", err)
}
