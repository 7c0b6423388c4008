package ledger

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// IDLength is how many characters the id of a ledger has.
const IDLength = 10

// lowerBase32 makes ids that may be part of the name of a tube.
var lowerBase32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID makes the id of a ledger, of 50 random bits.
func newID() string {
	random := make([]byte, 7)
	rand.Read(random) // never fails
	return lowerBase32.EncodeToString(random)[:IDLength]
}

// identify gives a ledger its id, once.
func identify(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "INSERT INTO identity (one, id) VALUES (1, ?) ON CONFLICT (one) DO NOTHING", newID())
	return err
}

var qIdentity = engine.NewQuery("SELECT id FROM identity WHERE one = 1")

// ID tells this ledger from all others that use the same beanstalkd: 10
// characters, made at random with the ledger, which never change.
func (l *Ledger) ID() string { return l.id }

func (l *Ledger) readID(ctx context.Context) error {
	found, err := l.reader.Row(ctx, qIdentity, nil, &l.id)
	if err == nil && (!found || len(l.id) != IDLength) {
		err = fmt.Errorf("the table identity has no id: %q", l.id)
	}
	return err
}

// ReadID reads the id of a ledger that others may have open, and changes
// nothing. It is empty where there is no ledger yet, or one that has no id yet.
func ReadID(ctx context.Context, dsnText string) (id string, err error) {
	path, _ := strings.CutPrefix(dsnText, "sqlite:")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	// Nothing may be made that the node's user cannot write. Without a log nobody
	// has the file open, and only then may SQLite take it for immutable.
	name := dsn(path, "busy_timeout(5000)") + "&mode=ro"
	if _, err := os.Stat(path + "-wal"); errors.Is(err, fs.ErrNotExist) {
		name += "&immutable=1"
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return "", fmt.Errorf("ledger: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tables := 0
	err = db.QueryRowContext(ctx, "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = 'identity'").Scan(&tables)
	if err == nil && tables > 0 {
		err = db.QueryRowContext(ctx, qIdentity.Text).Scan(&id)
	}
	if err != nil {
		return "", fmt.Errorf("ledger: read the id of %s: %w", path, err)
	}
	return id, nil
}
