package sqlite

import (
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// checkpointFrames is how many pages of the log are brought into the file at
	// once. It is twice SQLite's default because the same pages change again and
	// again; at four times the longest commit takes ten times as long.
	checkpointFrames = 2000
	// The log's length is read after every checkpointLook statements.
	checkpointLook = 200
)

var (
	qLogLength  = engine.NewQuery("PRAGMA wal_checkpoint(NOOP)")
	qCheckpoint = engine.NewQuery("PRAGMA wal_checkpoint(PASSIVE)")
)

// Checkpoint brings the log into the file where it has become long. SQLite would
// do so by itself within COMMIT, and say nothing of a sync that fails there.
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

// runCheckpoint runs a checkpoint of some kind, and returns how long the log is, in
// pages, and how much of it the file has.
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
