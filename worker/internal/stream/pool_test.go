package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

func signalIgnore() { signal.Ignore(syscall.SIGTERM) }

// bed has a pool for tests.
type bed struct {
	t         testing.TB
	pool      *Pool
	slots     atomic.Int64
	gate      *process.PauseGate
	mu        sync.Mutex
	installed map[string]*program.Program
	jobs      atomic.Int64
	starts    atomic.Int64 // of processes
	dir       atomic.Value // of the last process
	started   func()       // is called before each start, if it is set
	stop      func()       // ends Run
	start     string
	grace     time.Duration
	memory    int64
	scratch   int64
}

func newBed(t testing.TB, slots int, options ...func(*Config)) *bed {
	t.Helper()
	b := &bed{t: t, gate: process.NewPauseGate(), installed: map[string]*program.Program{}, start: "plain", grace: 2 * time.Second}
	b.slots.Store(int64(slots))
	cfg := Config{
		Root: workdir.NewRoot(t.TempDir(), slog.New(slog.DiscardHandler)), Slots: func() int { return int(b.slots.Load()) },
		Installed: func(name string) *program.Program {
			b.mu.Lock()
			defer b.mu.Unlock()
			return b.installed[name]
		},
		Logger: slog.New(slog.DiscardHandler), every: 5 * time.Millisecond,
	}
	for _, option := range options {
		option(&cfg)
	}
	b.pool = New(cfg)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { b.pool.Run(ctx, context.Background()) })
	b.stop = func() { cancel(); running.Wait() }
	t.Cleanup(func() {
		b.stop()
		b.pool.Close()
		if left := b.pool.Warm(); len(left) > 0 || len(b.pool.all) > 0 {
			t.Errorf("left: %+v", left)
		}
	})
	return b
}

// program installs a program, or another version of it.
func (b *bed) program(name string, recycle program.Recycle) *program.Program {
	exe, err := os.Executable()
	if err != nil {
		b.t.Fatal(err)
	}
	p := &program.Program{About: nodes.Program{Name: name}, Path: exe, Manifest: program.Manifest{Mode: program.ModeStream, Recycle: recycle}}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.installed[name] = p
	return p
}

// run returns a job that tells the child what to do.
func (b *bed) run(p *program.Program, do string) (*Run, context.Context) {
	kill, cancel := context.WithCancelCause(context.Background())
	b.t.Cleanup(func() { cancel(nil) })
	input, _ := json.Marshal(do)
	return &Run{
		Job: Job{ID: fmt.Sprint("job", b.jobs.Add(1)), Attempt: 1, Input: input}, Program: p, KillJob: cancel,
		Start: func(dir string) (process.Spec, error) {
			b.starts.Add(1)
			b.dir.Store(dir)
			if b.started != nil {
				b.started()
			}
			return process.Spec{
				Path: p.Path, Dir: dir, Env: append(os.Environ(), childVar+"="+b.start, "GORACE=atexit_sleep_ms=0"), MaxStdout: 256 << 10,
				Grace: b.grace, Pause: b.gate, MemoryLimit: b.memory, FileSize: b.scratch,
			}, nil
		},
		Task: process.Task{Log: &process.Log{}, Event: func([]byte) {}, Kill: kill, Timeout: time.Minute, Handle: &process.Handle{}},
	}, kill
}

// do runs a job that must be sent.
func (b *bed) do(p *program.Program, do string, options ...func(*Run)) Outcome {
	b.t.Helper()
	r, _ := b.run(p, do)
	for _, option := range options {
		option(r)
	}
	out, err := b.pool.Do(context.Background(), r)
	if err != nil {
		b.t.Fatalf("%s: %v", do, err)
	}
	if out.Kept != nil {
		b.t.Cleanup(out.Kept.Abandon)
	}
	return out
}

// good runs a job that must succeed.
func (b *bed) good(p *program.Program, do string, options ...func(*Run)) result {
	b.t.Helper()
	out := b.do(p, do, options...)
	var got result
	if err := json.Unmarshal(out.Exit.Stdout, &got); err != nil || !out.Answered || out.Failure != nil || out.Wrong != nil {
		b.t.Fatalf("%s: %+v, %v", do, out, err)
	}
	return got
}

// until polls a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

// file returns the path of a file in the working directory of the last process.
func (b *bed) file(name string) string { return b.dir.Load().(string) + "/" + name }

func (b *bed) has(name string) bool { _, err := os.Stat(b.file(name)); return err == nil }

// later lets the last process do what "then" is to do after its job, and returns when it
// has.
func (b *bed) later() {
	b.t.Helper()
	b.mark("go")
	until(b.t, "it is done", func() bool { return b.has("done") })
}

func (b *bed) mark(name string) {
	b.t.Helper()
	if err := os.WriteFile(b.file(name), nil, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// running is a job on another goroutine.
type running struct {
	*Run
	out   Outcome
	err   error
	ended chan struct{}
}

func (b *bed) begin(ctx context.Context, p *program.Program, do string) *running {
	r, _ := b.run(p, do)
	j := &running{Run: r, ended: make(chan struct{})}
	go func() {
		defer close(j.ended)
		j.out, j.err = b.pool.Do(ctx, r)
	}()
	b.t.Cleanup(func() {
		r.KillJob(nil)
		<-j.ended
		if j.out.Kept != nil {
			j.out.Kept.Abandon()
		}
	})
	return j
}

// sent waits until the job is sent, or is about to be.
func (b *bed) sent(j *running) {
	b.t.Helper()
	until(b.t, "the job is sent", func() bool { return len(j.Task.Handle.Processes(1)) > 0 })
}

// dead reports whether a process has ended that is maybe not reaped.
func dead(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

// stopped reports whether SIGSTOP has reached all threads. Until then one may still read.
func stopped(pid int) bool {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	return len(tasks) > 0 && !slices.ContainsFunc(tasks, func(path string) bool {
		stat, err := os.ReadFile(path)
		return err != nil || !strings.Contains(string(stat), ") T ")
	})
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// TestProtocol runs a job that breaks the protocol or its limits in a process that has done
// one. The next job must be done by another process.
func TestProtocol(t *testing.T) {
	t.Parallel()
	wrong := func(text string) func(*Outcome) bool {
		return func(o *Outcome) bool { return !o.Answered && o.Wrong != nil && strings.Contains(o.Wrong.Error(), text) }
	}
	short := func(r *Run) { r.Task.Timeout = 50 * time.Millisecond }
	for _, c := range []struct {
		name, do string
		option   func(*Run)
		ok       func(*Outcome) bool
	}{
		{"crash in the middle of a line", "half", nil, func(o *Outcome) bool {
			return !o.Answered && o.Wrong == nil && o.Exit.Signal == syscall.SIGKILL && !o.Exit.Killed
		}},
		{"exit code 65", "exit65", nil, func(o *Outcome) bool { return !o.Answered && o.Wrong == nil && o.Exit.Code == 65 }},
		{"exit code 0", "exit0", nil, func(o *Outcome) bool { return !o.Answered && o.Wrong == nil && o.Exit.Code == 0 }},
		{"another id", `print {"id":"jobx","result":1}`, nil, wrong("it answered to another job")},
		{"garbage", "print hello", nil, wrong(`"hello"`)},
		{"empty line", "print ", nil, wrong("a line that is not one")},
		{"two values", `print {"id":"x","result":1} 2`, nil, wrong("a line that is not one")},
		{"two answers", "twice", nil, func(o *Outcome) bool { return o.Answered && o.Wrong == nil && o.Exit.Stdout != nil }},
		{"huge line", "huge", nil, func(o *Outcome) bool { return !o.Answered && o.Exit.StdoutTooBig }},
		{"closed output", "stdout", nil, wrong("it closed its standard input or output")},
		{"no answer", "hang", short, func(o *Outcome) bool { return !o.Answered && o.Exit.TimedOut }},
		{"no answer, no end", "hang", short, func(o *Outcome) bool {
			return !o.Answered && o.Exit.TimedOut && o.Exit.Signal == syscall.SIGKILL
		}},
		{"stall", "hang", func(r *Run) { r.Task.Stall = 50 * time.Millisecond }, func(o *Outcome) bool { return !o.Answered && o.Exit.Stalled }},
		{"an end after the answer", "leave", nil, func(o *Outcome) bool { return o.Answered && o.Wrong == nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, 1)
			p := b.program("p", program.Recycle{})
			if c.name == "no answer, no end" {
				b.start = "stays"
			}
			first := b.good(p, "ok")
			if c.option == nil {
				c.option = func(*Run) {}
			}
			out := b.do(p, c.do, c.option)
			if !c.ok(&out) {
				t.Errorf("%+v", out)
			}
			if n := b.starts.Load(); n != 1 {
				t.Errorf("the job was done again, by process %d", n)
			}
			if next := b.good(p, "ok"); next.PID == first.PID || next.N != 1 {
				t.Errorf("the first job ran as %+v, the next as %+v", first, next)
			}
			until(t, "the first process has ended", func() bool { return gone(first.PID) })
		})
	}
}

// TestAnswers checks that a process that says that a job failed goes on.
func TestAnswers(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	for do, final := range map[string]bool{"error": false, "final": true} {
		if out := b.do(p, do); !out.Answered || out.Wrong != nil || out.Failure == nil || *out.Failure != (Failure{"no", final}) {
			t.Errorf("%s: %+v", do, out)
		}
	}
	if next := b.good(p, "ok"); next.PID != first.PID || next.N != 4 {
		t.Errorf("%+v, %+v", first, next)
	}
}

// TestBeforeFirstJob checks processes that write or end before they read a job: while the
// job is sent, or before.
func TestBeforeFirstJob(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	for _, before := range []bool{false, true} {
		for start, test := range map[string]struct{ came, ok func(*Outcome) bool }{
			"banner": {
				func(*Outcome) bool { return b.has("ready") },
				func(o *Outcome) bool { return !o.Answered && o.Wrong != nil },
			},
			"exit": {
				func(*Outcome) bool { warm := b.pool.Warm(); return len(warm) == 1 && dead(warm[0].PID) },
				func(o *Outcome) bool { return !o.Answered && o.Wrong == nil && o.Exit.Code == 3 },
			},
		} {
			b.start = start
			b.starts.Store(0)
			b.gate.Set(before)
			j := b.begin(t.Context(), p, "ok")
			if before {
				until(t, "it has started", func() bool { return b.starts.Load() == 1 && test.came(nil) })
				b.gate.Set(false)
			}
			<-j.ended
			if j.err != nil || !test.ok(&j.out) || b.starts.Load() != 1 {
				t.Errorf("%s, before the job %v: %+v, %v", start, before, j.out, j.err)
			}
		}
	}
}

// TestBetweenJobs checks that what a process does between two jobs costs no job anything.
func TestBetweenJobs(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	for range 20 { // the end comes before or after the next job is sent
		b.good(p, "leave")
	}
	first := b.good(p, "then print")
	b.mark("go") // the process may be killed before it can tell that it has printed
	until(t, "the output is found", func() bool { return gone(first.PID) })
	next := b.good(p, "ok")
	if err := syscall.Kill(next.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the end is found", func() bool { return gone(next.PID) })
	if last := b.good(p, "ok"); last.PID == next.PID || last.N != 1 {
		t.Errorf("%+v, %+v", next, last)
	}
}

// TestBetweenTwoLooks checks the same where the next job finds it, before or after it is
// sent.
func TestBetweenTwoLooks(t *testing.T) {
	t.Parallel()
	for _, do := range []string{"print", "shut", "deaf", "end"} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, 1, func(c *Config) { c.every = time.Hour })
			p := b.program("p", program.Recycle{})
			var first result
			if do == "end" {
				first = b.good(p, "ok")
				if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				until(t, "it has ended", func() bool { return dead(first.PID) })
			} else {
				first = b.good(p, "then "+do)
				b.later()
			}
			if next := b.good(p, "ok"); next.PID == first.PID || next.N != 1 {
				t.Errorf("%+v, %+v", first, next)
			}
			until(t, "the first process has ended", func() bool { return gone(first.PID) })
		})
	}
}

// TestUnread checks that a job costs nothing that a process did not read before its end,
// whether its line fits into the pipe or not.
func TestUnread(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 200 << 10} {
		b := newBed(t, 1)
		p := b.program("p", program.Recycle{})
		first := b.good(p, "ok")
		must(t, syscall.Kill(first.PID, syscall.SIGSTOP))
		until(t, "it is stopped", func() bool { return stopped(first.PID) })
		j := b.begin(t.Context(), p, "ok "+strings.Repeat("x", size))
		b.sent(j)
		must(t, syscall.Kill(first.PID, syscall.SIGKILL))
		<-j.ended
		if j.err != nil || !j.out.Answered || j.out.Wrong != nil || b.starts.Load() != 2 {
			t.Errorf("%d bytes: %+v, %v", size, j.out, j.err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// heard is the log and the events of a job.
type heard struct {
	process.Log
	mu     sync.Mutex
	events []string
}

// listen returns an option for a job.
func (h *heard) listen(r *Run) {
	r.Task.Log = &h.Log
	r.Task.Event = func(line []byte) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, string(line))
	}
}

func (h *heard) all() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return string(h.Snapshot()) + strings.Join(h.events, "\n")
}

// TestEventsAndLog checks which events and lines of the log belong to a job: not those that
// came before it was sent.
func TestEventsAndLog(t *testing.T) {
	t.Parallel()
	for _, every := range []time.Duration{time.Hour, time.Millisecond} { // the next job finds them, or the sweep
		b := newBed(t, 1, func(c *Config) { c.every = every })
		p := b.program("p", program.Recycle{})
		var during, late, next heard
		first := b.good(p, "events", during.listen)
		if got := during.all(); got != "a line\n"+`{"id":"job1","progress":0.5}` {
			t.Errorf("the job has %q", got)
		}
		b.good(p, "then event", late.listen)
		b.later()
		if last := b.good(p, "ok", next.listen); last.PID != first.PID {
			t.Error("the process was replaced")
		}
		if got := late.all() + next.all(); got != "" {
			t.Errorf("what came between two jobs was given to one of them: %q", got)
		}
	}
}

// TestAllBeforeAnswer checks that a job gets all that was written before its answer.
func TestAllBeforeAnswer(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	for range 20 {
		events, log := 0, &process.Log{}
		b.good(p, "much", func(r *Run) { r.Task.Log, r.Task.Event = log, func([]byte) { events++ } })
		if events != 12 || log.Total() != 12*4001 {
			t.Errorf("%d events, %d bytes of the log", events, log.Total())
		}
	}
}

// TestEventFlood checks that a flood of events does not keep an answer from being read.
func TestEventFlood(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "flood")
	if next := b.good(p, "ok"); next.PID != first.PID {
		t.Error("the process was replaced")
	}
}

// echo is a log that writes a new line into the pipe of the program for each that it gets.
type echo struct {
	pipe  *os.File
	until time.Time
}

func (e *echo) Write(data []byte) (int, error) {
	if time.Now().Before(e.until) {
		_, _ = e.pipe.WriteString("again\n")
	}
	return len(data), nil
}

// TestLogFlood checks that a log whose pipe is never empty does not keep an answer from
// being read.
func TestLogFlood(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	pipe, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/2", first.PID), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	log := &echo{pipe, time.Now().Add(time.Minute)}
	b.good(p, "events", func(r *Run) { r.Task.Log = log })
	if time.Now().After(log.until) {
		t.Error("the answer was not returned before the log was empty")
	}
}

// writer is a log that calls a function.
type writer func()

func (w writer) Write(data []byte) (int, error) { w(); return len(data), nil }

// TestAnswerBeforeExit checks that an answer is read that is still in the pipe when the end
// of its process is seen.
func TestAnswerBeforeExit(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	if last := b.good(p, "long", func(r *Run) {
		r.Task.Log = writer(func() { // nothing is read meanwhile
			b.mark("go")
			until(t, "it has ended", func() bool { return dead(first.PID) })
		})
	}); last.PID != first.PID {
		t.Errorf("%+v, %+v", first, last)
	}
}

// TestStops ends a job from outside.
func TestStops(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	for _, kill := range []bool{false, true} {
		first := b.good(p, "ok")
		ctx, cancel := context.WithCancel(t.Context())
		j := b.begin(ctx, p, "hang")
		b.sent(j)
		if kill {
			j.KillJob(errors.New("terminated"))
		} else {
			cancel()
		}
		<-j.ended
		cancel()
		if j.err != nil || j.out.Answered || j.out.Exit.Killed != kill || j.out.Exit.Cancelled == kill || j.out.Exit.TimedOut {
			t.Errorf("killed %v: %+v, %v", kill, j.out, j.err)
		}
		if !gone(first.PID) {
			t.Error("the process is still there")
		}
	}
}

// TestMemory checks that the limit of a program holds for its processes.
func TestMemory(t *testing.T) {
	t.Parallel()
	if raceEnabled {
		t.Skip("the race detector reserves more memory")
	}
	b := newBed(t, 1)
	b.memory = 256 << 20
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	if out := b.do(p, "memory"); out.Answered {
		t.Errorf("%+v", out)
	}
	if next := b.good(p, "ok"); next.PID == first.PID {
		t.Error("the process was used again")
	}
}

// TestQuota checks that a full working directory ends the job and its process.
func TestQuota(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	b.scratch = 1 << 20
	p := b.program("p", program.Recycle{})
	r, kill := b.run(p, "fill")
	out, err := b.pool.Do(context.Background(), r)
	if _, over := errors.AsType[*workdir.Excess](context.Cause(kill)); err != nil || !over || !out.Exit.Killed {
		t.Errorf("%+v, %v, %v", out, err, context.Cause(kill))
	}
	if out.Kept != nil {
		out.Kept.Abandon()
	}
	first := b.good(p, "then fill") // the next job must not pay for it
	b.mark("go")                    // the process may be killed before it can tell that it is done
	until(t, "its process has ended", func() bool { return gone(first.PID) })
}

// TestOut checks that out has the files of one job only.
func TestOut(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	for _, name := range []string{"a", "b", "", "c"} {
		do := "ok"
		if name != "" {
			do = "out " + name
		}
		out := b.do(p, do)
		if name == "" {
			if out.Kept != nil {
				t.Error("an empty folder is kept")
			}
			continue
		}
		list, err := os.ReadDir(out.Dir + "/out")
		if err != nil || len(list) != 1 || list[0].Name() != name {
			t.Errorf("%s: %v, %v", name, list, err)
		}
	}
	b.good(p, "noout") // makes no trouble for the next
	b.do(p, "out d")
	if next := b.good(p, "ok"); next.PID != first.PID {
		t.Error("the process was replaced")
	}
}

// TestRecycle replaces processes by jobs and by age.
func TestRecycle(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("jobs", program.Recycle{Jobs: 2})
	pids := map[int]int{}
	for range 6 {
		pids[b.good(p, "ok").PID]++
	}
	if len(pids) != 3 {
		t.Errorf("six jobs ran in processes %v", pids)
	}
	p = b.program("age", program.Recycle{After: jobs.Duration(time.Nanosecond)})
	if first, next := b.good(p, "ok"), b.good(p, "ok"); first.PID == next.PID || next.N != 1 {
		t.Errorf("%+v, %+v", first, next)
	}
	until(t, "the old process has ended", func() bool { return len(b.pool.Warm()) == 0 })
}

// TestReplaced ends the processes of a program that was replaced or removed.
func TestReplaced(t *testing.T) {
	t.Parallel()
	b := newBed(t, 2)
	old := b.program("p", program.Recycle{})
	first := b.good(old, "ok")
	p := b.program("p", program.Recycle{})
	if next := b.good(p, "ok"); next.PID == first.PID {
		t.Error("the old program ran")
	}
	until(t, "the old process has ended", func() bool { return gone(first.PID) })
	b.mu.Lock()
	delete(b.installed, "p")
	b.mu.Unlock()
	until(t, "the new process has ended", func() bool { return len(b.pool.Warm()) == 0 })
}

// TestIdle ends a process without work.
func TestIdle(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1, func(c *Config) { c.idle = 10 * time.Millisecond })
	first := b.good(b.program("p", program.Recycle{}), "ok")
	until(t, "the process has ended", func() bool { return gone(first.PID) })
}

// TestLeastRecentlyUsed checks that a new process takes the place of the one that was idle
// for longest at once.
func TestLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	b := newBed(t, 2, func(c *Config) { c.every = time.Hour })
	one, two := b.program("one", program.Recycle{}), b.program("two", program.Recycle{})
	first := b.good(one, "ok")
	b.good(two, "ok")
	b.good(one, "ok")
	b.good(b.program("three", program.Recycle{}), "ok")
	if last := b.good(one, "ok"); last.PID != first.PID || last.N != 3 || len(b.pool.Warm()) != 2 {
		t.Errorf("%+v, %+v, %+v", first, last, b.pool.Warm())
	}
}

// TestSlots checks how many processes there are.
func TestSlots(t *testing.T) {
	t.Parallel()
	b := newBed(t, 2)
	var last []int
	for i := range 5 {
		last = append(last, b.good(b.program(fmt.Sprint("p", i), program.Recycle{}), "ok").PID)
		if n := len(b.pool.Warm()); n > 2 {
			t.Errorf("%d processes on 2 slots", n)
		}
	}
	left := func() (pids []int) {
		for _, w := range b.pool.Warm() {
			pids = append(pids, w.PID)
		}
		return pids
	}
	if got := left(); !slices.Equal(got, last[3:]) {
		t.Errorf("%v are left, of %v", got, last)
	}
	b.slots.Store(1)
	until(t, "one is left", func() bool { return slices.Equal(left(), last[4:]) })
	b.slots.Store(0)
	until(t, "none is left", func() bool { return len(left()) == 0 })
}

// TestMany runs many jobs of two programs at the same time.
func TestMany(t *testing.T) {
	t.Parallel()
	b := newBed(t, 4)
	var workers sync.WaitGroup
	for i := range 2 {
		b.program(fmt.Sprint("p", i), program.Recycle{Jobs: 7})
	}
	for i := range 4 {
		workers.Go(func() {
			b.mu.Lock()
			p := b.installed[fmt.Sprint("p", i%2)]
			b.mu.Unlock()
			for range 25 {
				r, _ := b.run(p, "ok")
				out, err := b.pool.Do(context.Background(), r)
				if err != nil || !out.Answered || out.Wrong != nil {
					t.Errorf("%+v, %v", out, err)
				}
			}
		})
	}
	workers.Wait()
}

// TestDescendants ends what a job has left with its process.
func TestDescendants(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{Jobs: 2})
	other := b.good(p, "descendant").Other
	if gone(other) {
		t.Error("a descendant ended with its job")
	}
	b.good(p, "ok")
	until(t, "the descendant has ended", func() bool { return gone(other) })
}

// TestPanic checks that a panic of the caller ends the process and harms no other job.
func TestPanic(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	r, _ := b.run(p, "events")
	r.Task.Event = func([]byte) { panic("an event") }
	if caught := panics.Catch(func() { _, _ = b.pool.Do(context.Background(), r) }); caught == nil {
		t.Fatal("no panic")
	}
	if next := b.good(p, "ok"); next.PID == first.PID || !gone(first.PID) {
		t.Errorf("%+v, %+v", first, next)
	}
}

// TestPause pauses a job that runs, and one that is about to.
func TestPause(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	first := b.good(p, "ok")
	b.gate.Set(true)
	ctx, cancel := context.WithCancel(t.Context())
	j := b.begin(ctx, p, "hang")
	until(t, "it has a process", func() bool { return b.pool.Warm()[0].Job == j.ID })
	cancel()
	if <-j.ended; !errors.Is(j.err, context.Canceled) {
		t.Errorf("a job was sent while the gate is closed: %+v, %v", j.out, j.err)
	}
	b.gate.Set(false)
	j = b.begin(t.Context(), p, "wait")
	b.sent(j)
	for _, paused := range []bool{true, false} {
		b.gate.Set(paused)
		until(t, fmt.Sprint("it is paused: ", paused), func() bool { return j.Task.Handle.Processes(1)[0].Paused == paused })
	}
	b.mark("go")
	<-j.ended
	if next := b.good(p, "ok"); next.PID != first.PID || !j.out.Answered || j.out.Exit.Paused == 0 {
		t.Errorf("%+v, %v; the next ran as %+v, the first as %+v", j.out, j.err, next, first)
	}
}

// TestEnding checks that there are at most as many processes that end as slots, and that a
// job waits for the end of one until its context ends.
func TestEnding(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1, func(c *Config) { c.every = time.Hour })
	b.start = "stays" // until it is killed
	one := b.good(b.program("one", program.Recycle{}), "ok")
	two := b.good(b.program("two", program.Recycle{}), "ok") // one ends
	b.start = "plain"
	b.started = func() {
		if !gone(one.PID) && !gone(two.PID) {
			t.Error("two processes end, and a third starts")
		}
	}
	p := b.program("p", program.Recycle{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := b.run(p, "ok")
	if _, err := b.pool.Do(ctx, r); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	b.good(p, "ok")
}

// TestDrain checks that a process that has a job ends after it once Run has ended, and an
// idle one at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	b := newBed(t, 2)
	idle := b.good(b.program("idle", program.Recycle{}), "ok")
	j := b.begin(t.Context(), b.program("p", program.Recycle{}), "wait")
	b.sent(j)
	b.stop()
	until(t, "the idle process has ended", func() bool { return gone(idle.PID) })
	b.mark("go")
	if <-j.ended; j.err != nil || !j.out.Answered || j.out.Wrong != nil {
		t.Errorf("%+v, %v", j.out, j.err)
	}
	until(t, "the other has ended", func() bool { return len(b.pool.Warm()) == 0 })
}

// TestUse checks that an attempt is charged with what it used itself.
func TestUse(t *testing.T) {
	t.Parallel()
	b := newBed(t, 1)
	p := b.program("p", program.Recycle{})
	b.good(p, "ok")
	burnt := b.do(p, "burn").Exit
	light := b.do(p, "ok").Exit
	if burnt.CPU <= light.CPU || burnt.MaxRSS == 0 || light.MaxRSS == 0 {
		t.Errorf("burnt %+v, light %+v", burnt, light)
	}
}

// BenchmarkDo runs jobs one after another in one process.
func BenchmarkDo(b *testing.B) {
	bed := newBed(b, 1)
	p := bed.program("p", program.Recycle{})
	bed.good(p, "ok")
	b.ReportAllocs()
	for b.Loop() {
		bed.good(p, "ok")
	}
}
