package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// IDLength is the number of characters of an id.
const IDLength = 10

// lowerBase32 encodes ids that may be part of the name of a tube.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewID returns a new id of a ledger: 50 random bits.
func NewID() string {
	random := make([]byte, 7)
	rand.Read(random) // never fails
	return lowerBase32.EncodeToString(random)[:IDLength]
}

// identify writes the id of a new ledger.
func identify(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO identity (one, id) VALUES (1, ?) ON CONFLICT (one) DO NOTHING", NewID())
	return err
}

var qIdentity = engine.NewQuery("SELECT id FROM identity WHERE one = 1")

func readID(ctx context.Context, r *Reader) (id string, err error) {
	found, err := r.Row(ctx, qIdentity, nil, &id)
	if err == nil && (!found || len(id) != IDLength) {
		err = fmt.Errorf("the table identity has no id: %q", id)
	}
	return id, err
}
