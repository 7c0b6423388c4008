package sqlite

import (
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// checkpointFrames is the length of the log, in pages, at which it is copied to the
	// file. It is twice SQLite's default, because the same pages change again and again.
	// With four times the default the longest commit takes ten times as long.
	checkpointFrames = 2000
	// longLog is a length, in pages, that the log has only if readers kept SQLite from
	// writing it from its start again. Its file is cut to as much, about.
	longLog = 2 * checkpointFrames
	// The length of the log is read after statements that wrote about so many pages.
	checkpointLook = 200
)

var (
	qLogLength  = engine.NewQuery("PRAGMA wal_checkpoint(NOOP)")
	qCheckpoint = engine.NewQuery("PRAGMA wal_checkpoint(PASSIVE)")
	qRestartLog = engine.NewQuery("PRAGMA wal_checkpoint(RESTART)")
	qEmptyLog   = engine.NewQuery("PRAGMA wal_checkpoint(TRUNCATE)")
	qWaitShort  = engine.NewQuery("PRAGMA busy_timeout = 50")
	qWaitNot    = engine.NewQuery("PRAGMA busy_timeout = 0")
)

// Checkpoint copies the log to the file if the log is long. SQLite would do so in
// COMMIT, but would not report a sync that fails there. It does nothing while another
// process does it.
func (w *Writer) Checkpoint() error {
	if err := w.checkpoint(); err != nil && !IsBusy(err) {
		return err
	}
	return nil
}

func (w *Writer) checkpoint() error {
	if w.written < checkpointLook {
		return nil
	}
	w.written = 0
	length, done, err := w.runCheckpoint(qLogLength)
	if err != nil {
		return err
	}
	if length < longLog {
		w.restartAt = longLog
	}
	switch {
	case length >= w.restartAt:
		w.restartAt = 2 * length // a reader may stay for long
		err = w.restartLog()
	case length-done >= checkpointFrames:
		_, _, err = w.runCheckpoint(qCheckpoint)
	}
	return err
}

// restartLog copies the log to the file and waits for its readers, 50 ms at most, so that
// the next transaction writes it from its start. Readers that begin meanwhile read the
// file. Without this, readers that overlap let the log grow for as long as they come.
func (w *Writer) restartLog() (err error) {
	timeout := 0
	if _, err := w.Row(qWaitShort, nil, &timeout); err != nil {
		return err
	}
	defer func() {
		_, wait := w.Row(qWaitNot, nil, &timeout)
		err = errors.Join(err, wait)
	}()
	_, _, err = w.runCheckpoint(qRestartLog)
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
