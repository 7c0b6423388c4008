package logbuffer

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait.
const patience = 30 * time.Second

// slowLog is a log that takes one write for each value in turn, and fails with err.
type slowLog struct {
	turn    chan error
	entered chan struct{}
	mu      sync.Mutex
	text    bytes.Buffer
}

func newSlowLog() *slowLog {
	return &slowLog{turn: make(chan error), entered: make(chan struct{}, 1000)}
}

func (l *slowLog) Write(p []byte) (int, error) {
	l.entered <- struct{}{}
	err, open := <-l.turn
	if open && err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *slowLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func noteDropped(w io.Writer, n int64) { fmt.Fprintf(w, "dropped %d\n", n) }

func TestStuckLogBlocksNothingAndTellsWhatWasDropped(t *testing.T) {
	t.Parallel()
	log := newSlowLog()
	b := New(log, noteDropped)
	fmt.Fprintln(b, "first")
	<-log.entered // the writer is stuck from here on
	line := strings.Repeat("x", 1023) + "\n"
	for range maxPending/len(line) + 7 {
		if n, err := io.WriteString(b, line); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, last := b.Dropped(); n != 7 || last.IsZero() {
		t.Errorf("%d lines dropped, the last at %v; want 7", n, last)
	}
	close(log.turn) // the reader goes on
	b.Close(patience)
	text := log.String()
	if got := strings.Count(text, line); got != maxPending/len(line) {
		t.Errorf("%d lines are in the log, want %d", got, maxPending/len(line))
	}
	if !strings.HasPrefix(text, "first\nx") || !strings.HasSuffix(text, "x\ndropped 7\n") {
		t.Errorf("the log does not tell of 7 dropped lines: …%q", text[max(0, len(text)-40):])
	}
}

func TestLogThatCannotBeWrittenIsCountedAndToldLater(t *testing.T) {
	t.Parallel()
	log := newSlowLog()
	b := New(log, noteDropped)
	for i, err := range []error{syscall.EPIPE, syscall.ENOSPC} {
		fmt.Fprintf(b, "line %d\n", i)
		<-log.entered
		log.turn <- err
	}
	fmt.Fprintln(b, "good")
	close(log.turn)
	b.Close(patience)
	if n, _ := b.Dropped(); n != 2 {
		t.Errorf("%d lines dropped, want 2", n)
	}
	if want := "good\ndropped 2\n"; log.String() != want {
		t.Errorf("log %q, want %q", log.String(), want)
	}
}

func TestFullNonBlockingLogIsTriedAgain(t *testing.T) {
	t.Parallel()
	log := newSlowLog()
	b := New(log, noteDropped)
	fmt.Fprintln(b, "line")
	<-log.entered
	log.turn <- syscall.EAGAIN
	close(log.turn)
	b.Close(patience)
	if n, _ := b.Dropped(); n != 0 || log.String() != "line\n" {
		t.Errorf("log %q, %d dropped", log.String(), n)
	}
}

func TestCloseDoesNotWaitForAStuckLog(t *testing.T) {
	t.Parallel()
	log := newSlowLog()
	b := New(log, noteDropped)
	fmt.Fprintln(b, "first")
	<-log.entered
	b.Close(time.Millisecond)
	fmt.Fprintln(b, "after the end")
	if n, _ := b.Dropped(); n != 1 {
		t.Errorf("%d lines dropped after Close, want 1", n)
	}
	close(log.turn)
}

func TestCloseReturnsWhereTheLogCannotBeWritten(t *testing.T) {
	t.Parallel()
	log := newSlowLog()
	b := New(log, noteDropped)
	go func() {
		for range log.entered {
			log.turn <- syscall.EPIPE
		}
	}()
	fmt.Fprintln(b, "line")
	b.Close(patience)
	select {
	case <-b.ended:
	default:
		t.Error("the writer goes on")
	}
	if n, _ := b.Dropped(); n != 1 {
		t.Errorf("%d lines dropped, want 1", n)
	}
}
