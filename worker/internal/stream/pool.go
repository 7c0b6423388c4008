package stream

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

const (
	// maxIdle is how long a process waits for a job before it is ended.
	maxIdle = 10 * time.Minute
	// sweepEvery is how often idle processes are looked at.
	sweepEvery = time.Second
)

// Config of a Pool. All fields with capital letters are required.
type Config struct {
	// Root has the working directories of the processes.
	Root *workdir.Root
	// Slots returns how many jobs may run at the same time now.
	Slots func() int
	// Installed returns the program of that name that is installed now, or nil.
	Installed func(name string) *program.Program
	Logger    *slog.Logger

	// Only tests set these.
	idle, every time.Duration
}

// Pool has the processes of the stream programs of a node. There are at most as many as
// slots, besides those that are ending, of which there are at most as many again.
type Pool struct {
	cfg   Config
	kill  context.Context // ends when processes that are ending are to be killed
	hurry context.CancelFunc

	mu       sync.Mutex
	all      map[*worker]bool // also those that start or end
	idle     []*worker        // used last is last
	draining bool             // none waits for a job
	changed  chan struct{}    // is closed when a process has ended
	ending   sync.WaitGroup
}

// worker is a process of a stream program.
type worker struct {
	program *program.Program
	stream  *process.Stream // nil while it starts
	scratch *workdir.Scratch
	dir     string // its working directory
	unwatch func()
	line    []byte // reused

	// Guarded by the pool.
	jobs   int // that it has ended
	job    string
	since  time.Time   // it is idle
	kill   func(error) // of the job that runs
	doomed string      // why it is to end after its job
	ending bool
}

// New returns a pool without processes.
func New(cfg Config) *Pool {
	if cfg.idle == 0 {
		cfg.idle = maxIdle
	}
	if cfg.every == 0 {
		cfg.every = sweepEvery
	}
	p := &Pool{cfg: cfg, all: map[*worker]bool{}, changed: make(chan struct{})}
	p.kill, p.hurry = context.WithCancel(context.Background())
	return p
}

// Run ends idle processes that are not wanted any more, until take ends. Then it ends all
// that are idle, and the others after their jobs. When work ends, those are killed that
// are ending.
func (p *Pool) Run(take, work context.Context) {
	stop := context.AfterFunc(work, p.hurry)
	defer stop()
	ticker := time.NewTicker(p.cfg.every)
	defer ticker.Stop()
	for {
		select {
		case <-take.Done():
			p.drain()
			return
		case <-ticker.C:
			guard(p.cfg.Logger, "sweep")(func() { p.sweep(time.Now()) })
		}
	}
}

// Close ends all processes and waits for that. No job may run.
func (p *Pool) Close() {
	p.drain()
	p.ending.Wait()
	p.hurry()
}

func (p *Pool) drain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	for len(p.idle) > 0 {
		p.end(p.idle[0], "the node takes no more work")
	}
}

// sweep ends idle processes that are not wanted any more.
func (p *Pool) sweep(now time.Time) {
	slots := p.cfg.Slots()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range slices.Clone(p.idle) {
		live, _ := p.count()
		if reason := p.unwanted(w, now); reason != "" {
			p.end(w, reason)
		} else if live > slots {
			p.end(w, "there are fewer slots")
		}
	}
}

// unwanted returns why an idle process is to end; empty if it may wait. The caller holds
// the lock.
func (p *Pool) unwanted(w *worker, now time.Time) string {
	if err := w.stream.Look(); err != nil {
		return err.Error()
	}
	switch recycle := w.program.Manifest.Recycle; {
	case w.doomed != "":
		return w.doomed
	case p.draining:
		return "the node takes no more work"
	case recycle.Jobs > 0 && w.jobs >= recycle.Jobs:
		return "it has done as many jobs as recycle says"
	case recycle.After > 0 && now.Sub(w.stream.Started) >= time.Duration(recycle.After):
		return "it is as old as recycle says"
	case now.Sub(w.since) >= p.cfg.idle:
		return "there was no job for it"
	case p.cfg.Installed(w.program.About.Name) != w.program:
		return "its program was changed or removed"
	}
	return ""
}

// count returns how many processes there are, and how many more are ending. The caller
// holds the lock.
func (p *Pool) count() (live, ending int) {
	for w := range p.all {
		if w.ending {
			ending++
		} else {
			live++
		}
	}
	return live, ending
}

// take returns a process for a job: an idle one, or a new one. A new one takes the place
// of the one that has been idle for longest, if there are as many as slots.
func (p *Pool) take(ctx context.Context, r *Run) (*worker, error) {
	for {
		slots := max(1, p.cfg.Slots())
		p.mu.Lock()
		if w := p.pop(r); w != nil {
			p.mu.Unlock()
			return w, nil
		}
		live, ending := p.count()
		if live >= slots && len(p.idle) > 0 {
			p.end(p.idle[0], "another program needs its slot")
			ending++
		}
		if ending <= slots {
			w := &worker{program: r.Program, job: r.ID, kill: r.KillJob}
			p.all[w] = true
			p.mu.Unlock()
			return w, p.start(w, r)
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-r.Task.Kill.Done():
			return nil, context.Cause(r.Task.Kill)
		}
	}
}

// pop returns an idle process for a job, or nil. The caller holds the lock.
func (p *Pool) pop(r *Run) *worker {
	for i := len(p.idle) - 1; i >= 0; i-- {
		w := p.idle[i]
		after := time.Duration(w.program.Manifest.Recycle.After)
		if w.program != r.Program || w.doomed != "" || after > 0 && time.Since(w.stream.Started) >= after {
			continue
		}
		p.idle = slices.Delete(p.idle, i, i+1)
		w.job, w.kill = r.ID, r.KillJob
		return w
	}
	return nil
}

// start starts a process. If that fails, it removes the process from the pool.
func (p *Pool) start(w *worker, r *Run) (err error) {
	started := false
	defer func() {
		if !started {
			p.forget(w)
		}
	}()
	w.scratch = p.cfg.Root.NewScratch()
	if w.dir, err = w.scratch.Open(); err != nil {
		return err
	}
	spec, err := r.Start(w.dir)
	if err != nil {
		return err
	}
	stream, err := process.StartStream(spec)
	if err != nil {
		return err
	}
	started = true
	w.unwatch = workdir.WatchQuota(w.dir, spec.FileSize, guard(p.cfg.Logger, "quota"), func(err error) { p.exceeded(w, err) }, func(err error) {
		p.cfg.Logger.Warn("the folder of a running program cannot be measured", "program", r.Program.About.Name, "err", err)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	w.stream, w.program = stream, r.Program // Start may have looked again
	return nil
}

// exceeded ends the process whose working directory takes too much, and its job.
func (p *Pool) exceeded(w *worker, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.doomed = err.Error()
	if w.kill != nil {
		w.kill(err)
	}
}

// put takes a process back after a job. reason says why it must end, if it must.
func (p *Pool) put(w *worker, reason string) { p.give(w, reason, 1) }

// give takes a process back that has ended so many more jobs.
func (p *Pool) give(w *worker, reason string, jobs int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.jobs += jobs
	w.job, w.kill, w.since = "", nil, time.Now()
	if reason == "" {
		reason = p.worn(w)
	}
	if reason != "" {
		p.end(w, reason)
		return
	}
	p.idle = append(p.idle, w)
}

// worn returns why a process is to end after its job without another look; empty if it
// is not.
func (p *Pool) worn(w *worker) string {
	switch recycle := w.program.Manifest.Recycle; {
	case p.draining:
		return "the node takes no more work"
	case recycle.Jobs > 0 && w.jobs >= recycle.Jobs:
		return "it has done as many jobs as recycle says"
	}
	return w.doomed
}

// end ends a process without a job, on another goroutine. The caller holds the lock.
func (p *Pool) end(w *worker, reason string) {
	if i := slices.Index(p.idle, w); i >= 0 {
		p.idle = slices.Delete(p.idle, i, i+1)
	}
	w.ending = true
	p.ending.Go(func() {
		guard(p.cfg.Logger, "end")(func() {
			defer p.forget(w)
			exit := w.stream.End(p.kill)
			level := slog.LevelDebug
			if exit.TimedOut || exit.Escaped > 0 {
				level = slog.LevelWarn // it did not end by itself
			}
			p.log(w, level, reason, &exit)
		})
	})
}

func (p *Pool) log(w *worker, level slog.Level, reason string, exit *process.Exit) {
	p.cfg.Logger.Log(context.Background(), level, "a process of a stream program has ended", "program", w.program.About.Name,
		"pid", w.stream.PID, "jobs", w.jobs, "age", time.Since(w.stream.Started).Round(time.Millisecond).String(), "reason", reason,
		"exit", exit.Code, "signal", int(exit.Signal), "log_dropped", w.stream.StrayBytes, "events_dropped", w.stream.StrayEvents)
}

// forget removes a process that has ended, or was not started, and its folder.
func (p *Pool) forget(w *worker) {
	if w.unwatch != nil {
		w.unwatch()
	}
	if w.scratch != nil {
		w.scratch.Abandon()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, w)
	close(p.changed)
	p.changed = make(chan struct{})
}

// guard returns a function that calls another and logs its panic.
func guard(logger *slog.Logger, stage string) func(func()) {
	return func(f func()) {
		if caught := panics.Catch(f); caught != nil {
			logger.Error("a panic was caught", "stage", stage, "err", caught, "stack", caught.Stack)
		}
	}
}
