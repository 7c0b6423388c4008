package ledger

import "fmt"

// answer tells the callers of soft operations that they are committed, which
// outlives the death of the process. The others wait for the disk as well,
// while the writer goes on: also those that wrote nothing, for what they have
// seen may not be on the disk yet.
func (l *Ledger) answer(batch []*op) {
	for _, o := range batch {
		switch {
		case o.soft:
			close(o.done)
		case o.early:
			close(o.done)
			l.syncs <- &op{hard: o.hard, done: make(chan struct{})}
		default:
			l.syncs <- o
		}
	}
}

// sync is the syncer's goroutine: one sync is for all that was committed
// before it began, so that what survives a power cut is what was answered.
// SQLite would sync within COMMIT at synchronous=FULL, but by fsync, which
// writes the file's times as well and costs three times the processor time of
// fdatasync, and with the writer waiting.
func (l *Ledger) sync() {
	defer close(l.done)
	batch := make([]*op, 0, cap(l.syncs))
	for first := range l.syncs {
		batch = append(batch[:0], first)
		for len(l.syncs) > 0 && len(batch) < cap(batch) {
			batch = append(batch, <-l.syncs)
		}
		l.syncBatch(batch)
	}
}

func (l *Ledger) syncBatch(batch []*op) {
	err := l.Err() // a sync that succeeds after one that failed proves nothing
	for _, o := range batch {
		if o.hard && o.err == nil && err == nil {
			if err = l.writer.sync(l.writer.wal); err != nil {
				err = l.fail("sync", err)
			}
			break
		}
	}
	for _, o := range batch {
		if err != nil && o.err == nil {
			o.err = fmt.Errorf("sync: %w", err)
		}
		close(o.done)
	}
}
