package process

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

func init() {
	programs["flood"] = func(args []string) { // arguments: descriptor, number of bytes
		f := os.NewFile(uintptr(number(args, 0)), "flood")
		p := bytes.Repeat([]byte("0123456789abcde\n"), 4096)
		for left := number(args, 1); left > 0; left -= len(p) {
			if _, err := f.Write(p[:min(left, len(p))]); err != nil {
				os.Exit(9)
			}
		}
	}
	programs["lines"] = func([]string) {
		fmt.Fprint(events(), "one\n\ntwo\n"+strings.Repeat("x", MaxEventLine)+"\n"+strings.Repeat("y", MaxEventLine+1)+"\n")
		fmt.Fprint(events(), strings.Repeat("z", 3*MaxEventLine), "\n\x00\xff junk\nlast")
	}
}

// floodSize is how many bytes a program writes to its log: far more than is
// kept, but not so many that a busy machine needs more than the test's time
// limit.
const floodSize = 128 << 20

func TestStderrFlood(t *testing.T) {
	t.Parallel()
	var log Log
	spec := child(t, "flood", "2", fmt.Sprint(floodSize))
	spec.Log = &log
	exit := mustRun(t, spec)
	if exit.Code != 0 || log.Total() != int64(floodSize) {
		t.Errorf("code %d after %d bytes", exit.Code, log.Total())
	}
	kept := log.Snapshot()
	if n := len(kept); n < 2*logtext.EndSize || n > 2*logtext.EndSize+100 {
		t.Errorf("%d bytes are kept", n)
	}
	if want := fmt.Sprintf("\n[... %d bytes left out ...]\n", floodSize-2*logtext.EndSize); !bytes.Contains(kept, []byte(want)) {
		t.Errorf("no line %q", want)
	}
}

// Floods also end if nobody takes the output.
func TestFloodsNobodyTakes(t *testing.T) {
	t.Parallel()
	for _, fd := range []string{"2", "3"} {
		if exit := mustRun(t, child(t, "flood", fd, fmt.Sprint(32<<20))); exit.Code != 0 {
			t.Errorf("%s: code %d", fd, exit.Code)
		}
	}
}

func TestStdoutTooBig(t *testing.T) {
	t.Parallel()
	cases := []struct {
		write  int
		max    int64
		tooBig bool
	}{
		{100 << 20, 1 << 20, true},
		{1<<20 + 1, 1 << 20, true},
		{1 << 20, 1 << 20, false},
		{1 << 20, 0, false},
		{1, 1, false},
		{2, 1, true},
	}
	for _, c := range cases {
		t.Run(fmt.Sprint(c.write, "/", c.max), func(t *testing.T) {
			t.Parallel()
			spec := child(t, "flood", "1", fmt.Sprint(c.write))
			spec.MaxStdout = c.max
			exit := mustRun(t, spec)
			kept := c.write
			if c.tooBig {
				kept = 0
			}
			if exit.StdoutTooBig != c.tooBig || len(exit.Stdout) != kept || exit.TimedOut || exit.Cancelled {
				t.Errorf("too big: %v, kept %d", exit.StdoutTooBig, len(exit.Stdout))
			}
			if c.tooBig && c.write > 10*int(c.max) && exit.Signal == 0 {
				t.Error("it was not stopped")
			}
		})
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	var got []string
	spec := child(t, "lines")
	spec.Event = func(line []byte) { got = append(got, string(line)) }
	exit := mustRun(t, spec)
	want := []string{"one", "two", strings.Repeat("x", MaxEventLine), "\x00\xff junk", "last"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if exit.EventsDropped != 2 {
		t.Errorf("%d were dropped", exit.EventsDropped)
	}
}

// A program that writes more events than are read has to wait, and no event is
// lost.
func TestEventFlood(t *testing.T) {
	t.Parallel()
	const lines = eventBurst + 3*eventRate
	n := 0
	spec := child(t, "flood", "3", fmt.Sprint(16*lines))
	spec.Event = func([]byte) { n++ }
	if exit := mustRun(t, spec); n != lines || exit.EventsDropped != 0 || exit.Code != 0 {
		t.Errorf("%d events, %+v", n, exit)
	} else if exit.Wall < time.Second {
		t.Errorf("it had to wait for %v only", exit.Wall) // less than the size of the pipe was left at the end
	}
}

func TestOutputFlow(t *testing.T) {
	t.Parallel()
	begun := time.Now()
	steps := []struct {
		after        time.Duration
		lines, bytes int
		wait         time.Duration
	}{
		{0, eventBurst, 0, 0},
		{0, eventRate, 0, time.Second},
		{time.Second, 0, 0, 0},
		{0, 0, eventRate * eventBytes / 2, time.Second / 2},
		{time.Hour, eventBurst, 100, 0},
	}
	var f outputFlow
	now := begun
	for i, s := range steps {
		now = now.Add(s.after)
		var wait time.Duration
		if at := f.add(s.lines, s.bytes, now); !at.IsZero() {
			wait = at.Sub(now)
		}
		if wait != s.wait {
			t.Errorf("step %d: wait for %v, want %v", i, wait, s.wait)
		}
	}
}

// The buffer of the output does not exceed its limit.
func TestAppendWithin(t *testing.T) {
	t.Parallel()
	const limit = 1 << 20
	var s []byte
	piece := make([]byte, 1000)
	for len(s) < limit {
		s = appendWithin(s, piece[:min(len(piece), limit-len(s))], limit)
		if c := cap(s); c > limit || c > 2*len(s)+len(piece) {
			t.Fatalf("room for %d bytes at %d", c, len(s))
		}
	}
}

// A run does not use more memory if its program writes more.
func TestFloodMemory(t *testing.T) {
	spec := child(t, "flood", "2", fmt.Sprint(64<<20))
	spec.Log = &Log{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	mustRun(t, spec)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 8<<20 {
		t.Errorf("%d bytes were allocated", grown)
	}
}

// The lines do not depend on how a stream is cut into reads.
func FuzzLines(f *testing.F) {
	f.Add([]byte("a\nbb\n\nccc"), uint8(3), uint8(2))
	f.Add([]byte("\n\n\n"), uint8(1), uint8(1))
	f.Add(bytes.Repeat([]byte("long"), 50), uint8(7), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, step, repeat uint8) {
		data = bytes.Repeat(data, 1+int(repeat)*64)
		var want [][]byte
		dropped := 0
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			switch {
			case len(line) > MaxEventLine:
				dropped++
			case len(line) > 0:
				want = append(want, line)
			}
		}
		var got [][]byte
		l := eventLines{emit: func(line []byte) { got = append(got, bytes.Clone(line)) }}
		size := 1 + int(step)*(1+len(data)/256)
		for p := data; len(p) > 0; p = p[min(size, len(p)):] {
			l.write(p[:min(size, len(p))])
		}
		l.close()
		if diff := cmp.Diff(want, got); diff != "" || l.dropped != dropped {
			t.Errorf("dropped %d of %d: %s", l.dropped, dropped, diff)
		}
	})
}
