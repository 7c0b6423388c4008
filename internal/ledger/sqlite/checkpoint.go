package sqlite

import (
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// checkpointFrames is the length of the log, in pages, at which it is copied to the
	// file. It is twice SQLite's default, because the same pages change again and again.
	// With four times the default the longest commit takes ten times as long.
	checkpointFrames = 2000
	// The length of the log is read after this many statements.
	checkpointLook = 200
)

var (
	qLogLength  = engine.NewQuery("PRAGMA wal_checkpoint(NOOP)")
	qCheckpoint = engine.NewQuery("PRAGMA wal_checkpoint(PASSIVE)")
	qEmptyLog   = engine.NewQuery("PRAGMA wal_checkpoint(TRUNCATE)")
)

// Checkpoint copies the log to the file if the log is long. SQLite would do so in
// COMMIT, but would not report a sync that fails there.
func (w *Writer) Checkpoint() error {
	if w.statements < checkpointLook {
		return nil
	}
	w.statements = 0
	length, done, err := w.runCheckpoint(qLogLength)
	if err == nil && length-done >= checkpointFrames {
		_, _, err = w.runCheckpoint(qCheckpoint)
	}
	return err
}

// empty copies the whole log to the file and empties it. Another process that reads or
// writes keeps it from that; then the last one to close the file does it.
func (w *Writer) empty() error {
	_, _, err := w.runCheckpoint(qEmptyLog)
	if err != nil && !IsBusy(err) {
		return fmt.Errorf("the log stays in the file that ends in -wal, which belongs to the ledger: %w", err)
	}
	return nil
}

// runCheckpoint runs a checkpoint. It returns the length of the log in pages, and how
// many of them the file has.
func (w *Writer) runCheckpoint(q *engine.Query) (length, done int, err error) {
	s, err := w.stmt(q)
	if err != nil {
		return 0, 0, err
	}
	var busy int
	if err := s.QueryRowContext(backgroundC).Scan(&busy, &length, &done); err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	return length, done, nil
}
