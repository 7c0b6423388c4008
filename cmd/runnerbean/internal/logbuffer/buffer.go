// Package logbuffer writes a log in the background, so that a reader that stands still
// never blocks the work of a node.
package logbuffer

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"
)

const (
	// maxPending bounds the bytes that wait for the writer. As many may be on their way.
	maxPending = 256 << 10
	// fullPause is the wait before a non-blocking file is tried again.
	fullPause = 50 * time.Millisecond
)

// Buffer is a bounded buffer before a log. While it is full, and when the log cannot be
// written, lines are dropped and counted.
type Buffer struct {
	to   io.Writer
	note func(to io.Writer, dropped int64)

	mu      sync.Mutex
	changed sync.Cond // pending or closing has changed
	pending []byte    // waits for the writer
	spare   []byte    // the array of the last batch
	closing bool
	final   bool  // all lines were tried, and a note
	dropped int64 // in all
	unsaid  int64 // of these: not in the log yet
	last    time.Time

	ended chan struct{} // closed when the writer has ended
}

// New returns a Buffer before to. note writes a line that says how many lines were
// dropped; it is called as soon as there is room for it. The caller calls Close.
func New(to io.Writer, note func(to io.Writer, dropped int64)) *Buffer {
	b := &Buffer{to: to, note: note, ended: make(chan struct{})}
	b.changed.L = &b.mu
	go b.run()
	return b
}

// Write takes lines of the log. It never blocks and never fails.
func (b *Buffer) Write(lines []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing || len(b.pending)+len(lines) > maxPending {
		b.drop(countLines(lines))
		return len(lines), nil
	}
	b.pending = append(b.pending, lines...)
	b.changed.Signal()
	return len(lines), nil
}

// Dropped returns how many lines were dropped, and when the last one was.
func (b *Buffer) Dropped() (total int64, last time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dropped, b.last
}

// Close takes no more lines and waits for the writer, at most for limit. It does not
// close the log.
func (b *Buffer) Close(limit time.Duration) {
	b.mu.Lock()
	b.closing = true
	b.changed.Signal()
	b.mu.Unlock()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-b.ended:
	case <-timer.C:
	}
}

// run writes batches until the Buffer is closed and empty.
func (b *Buffer) run() {
	defer close(b.ended)
	for {
		batch, noted := b.next()
		if len(batch) == 0 {
			return
		}
		if lost := b.write(batch); lost > 0 {
			b.failed(lost, noted)
		}
	}
}

// next waits for lines and returns them, with a note of what was dropped meanwhile. It
// returns nothing once the Buffer is closed and empty, after one more note at most.
func (b *Buffer) next() (batch []byte, noted int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.pending) == 0 && !b.closing {
		b.changed.Wait()
	}
	if len(b.pending) == 0 && b.final {
		return nil, 0
	}
	b.final = len(b.pending) == 0
	batch, b.pending = b.pending, b.spare[:0]
	noted, b.unsaid = b.unsaid, 0
	if noted > 0 {
		note := bytes.NewBuffer(batch)
		b.note(note, noted)
		batch = note.Bytes()
	}
	b.spare = batch
	return batch, noted
}

// write writes a batch and returns how many of its lines are lost.
func (b *Buffer) write(batch []byte) (lost int64) {
	for len(batch) > 0 {
		n, err := b.to.Write(batch)
		batch = batch[min(max(n, 0), len(batch)):]
		switch {
		case errors.Is(err, syscall.EAGAIN):
			time.Sleep(fullPause) // another process has made the file non-blocking
		case err != nil:
			return countLines(batch)
		}
	}
	return 0
}

// failed counts the lost lines of a batch, whose last line was a note about noted lines
// if these are not 0.
func (b *Buffer) failed(lost, noted int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if noted > 0 {
		lost-- // the note
		b.unsaid += noted
	}
	b.drop(lost)
}

// drop counts dropped lines. The caller holds the lock.
func (b *Buffer) drop(lines int64) {
	b.dropped += lines
	b.unsaid += lines
	b.last = time.Now()
}

// countLines counts a last line without an end, too.
func countLines(text []byte) int64 {
	n := bytes.Count(text, []byte{'\n'})
	if len(text) > 0 && text[len(text)-1] != '\n' {
		n++
	}
	return int64(n)
}
