package ledger

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

func TestOnExternalCommit(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.external.every = time.Millisecond
	other := d.open()
	defer other.Close()
	told := make(chan struct{}, 1000)
	remove := d.OnExternalCommit(func() { told <- struct{}{} })
	looks := func(n int64) { // waits until it has looked n times more
		t.Helper()
		n += d.external.looks.Load()
		d.until(func() bool { return d.external.looks.Load() >= n })
	}
	looks(3)
	d.add(nil)
	looks(3)
	if len(told) > 0 {
		t.Fatal("told of its own commit")
	}
	for range 3 {
		d.must(other.Events.Note(t.Context(), eventlog.Event{Kind: "x"}))
		select {
		case <-told:
		case <-time.After(10 * time.Second):
			t.Fatal("not told of another process's commit")
		}
	}
	remove()
	looks(3)
	for len(told) > 0 {
		<-told
	}
	d.must(other.Events.Note(t.Context(), eventlog.Event{Kind: "x"}))
	looks(3)
	if len(told) > 0 {
		t.Error("told after it was removed")
	}
}

// Close ends the goroutine (goleak checks). Later calls do nothing.
func TestOnExternalCommitAndClose(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var n atomic.Int32
	remove := d.OnExternalCommit(func() { n.Add(1) })
	d.must(d.Ledger.Close())
	remove()
	d.OnExternalCommit(func() { n.Add(1) })()
	if n.Load() != 0 {
		t.Errorf("told %d times", n.Load())
	}
}
