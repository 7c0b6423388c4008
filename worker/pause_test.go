package worker

import (
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/report"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/process"
)

// clock installs a program that reports its pid and then counts in a file until open.
func (r *fixture) clock(name string) (ticks func() int64, open func()) {
	count, gate := filepath.Join(r.dir, name+".count"), filepath.Join(r.dir, name+".gate")
	r.install(name, `echo '{"message":"running"}' >&3; while [ ! -e `+gate+` ]; do printf x >>`+count+`; sleep 0.005; done; echo 1`)
	return func() int64 {
			info, err := os.Stat(count)
			if err != nil {
				return 0
			}
			return info.Size()
		}, func() {
			r.must(os.WriteFile(gate, nil, 0o600))
		}
}

// still waits until the count does not change for a while.
func (r *fixture) still(ticks func() int64) {
	r.t.Helper()
	before := ticks()
	r.until("it stands still", func() bool {
		time.Sleep(200 * time.Millisecond)
		now := ticks()
		defer func() { before = now }()
		return now == before
	})
}

// stands waits until all programs are paused, and checks that they are.
func (n *node) stands(ticks func() int64) {
	n.r.t.Helper()
	n.r.until("they are paused", func() bool {
		list := n.Processes()
		return len(list) > 0 && !slices.ContainsFunc(list, func(p api.Process) bool { return !p.Paused })
	})
	n.r.still(ticks)
	before := ticks()
	time.Sleep(200 * time.Millisecond)
	if now := ticks(); now != before {
		n.r.t.Errorf("it counted %d in a pause", now-before)
	}
}

func (r *fixture) counts(ticks func() int64) {
	r.t.Helper()
	before := ticks()
	r.until("it goes on", func() bool { return ticks() > before })
}

// TestPause checks that programs are paused and no work is taken.
func TestPause(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("quick", "echo 1")
	ticks, open := r.clock("clock")
	n := r.start()
	id := r.submit(job("clock"))
	r.awaitMessage(id)
	r.counts(ticks)
	for range 2 {
		n.Pause("backup")
		n.Pause("still backup")
		n.stands(ticks)
		if !n.Paused() {
			t.Error("it does not say that it is paused")
		}
		waits := r.submit(job("quick"))
		n.Hold("drained")
		n.Resume()
		r.counts(ticks)
		if record := r.get(waits); record.State != jobs.Queued {
			t.Errorf("a held node that is not paused any more runs a job: %s", record.State)
		}
		n.Hold("")
		r.await(waits, jobs.Succeeded)
	}
	open()
	r.await(id, jobs.Succeeded)
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
		t.Error(diff)
	}
}

// TestPauseTakesNothing leaves work to other nodes, also a message that comes at the
// moment of the pause.
func TestPauseTakesNothing(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("quick", "echo 1")
	n := r.start()
	n.Pause("backup")
	ids := r.crowd("quick", 10)
	n.Hold("a reason of its own")
	n.Hold("")
	for _, id := range ids {
		if record := r.get(id); record.State != jobs.Queued {
			t.Errorf("job is %s", record.State)
		}
	}
	n.Resume()
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
}

// TestTimeoutInAPause checks that the time of a pause does not count.
func TestTimeoutInAPause(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	ticks, open := r.clock("clock")
	n := r.start()
	j := job("clock")
	j.Timeout = jobs.Duration(1500 * time.Millisecond)
	r.submit(j)
	r.awaitMessage(j.ID)
	n.Pause("backup")
	n.stands(ticks)
	time.Sleep(1500 * time.Millisecond)
	open()
	n.Resume()
	if record := r.await(j.ID, jobs.Succeeded); record.Attempt != 1 {
		t.Errorf("%v", r.outcomes(j.ID))
	}
}

// TestVerbsInAPause ends paused programs.
func TestVerbsInAPause(t *testing.T) {
	t.Parallel()
	for verb, want := range map[ledger.Verb]jobs.State{
		ledger.VerbCancel: jobs.Cancelled, ledger.VerbTerminate: jobs.Cancelled, ledger.VerbReset: jobs.Queued,
	} {
		t.Run(string(verb), func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Grace = testTimeout })
			ticks, _ := r.clock("clock")
			n := r.start()
			id := r.submit(job("clock"))
			r.awaitMessage(id)
			n.Pause("backup")
			n.stands(ticks)
			r.act(verb, id)
			r.await(id, want)
			n.Resume()
		})
	}
}

// TestPauseAndShutdown ends a node whose programs are paused, without the grace time.
func TestPauseAndShutdown(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.ShutdownGrace = time.Hour })
	ticks, _ := r.clock("clock")
	n := r.start()
	id := r.submit(job("clock"))
	r.awaitMessage(id)
	n.Pause("backup")
	n.stands(ticks)
	n.stop()
	n.wait()
	if record := r.get(id); record.State != jobs.Queued || record.Spent != 0 {
		t.Errorf("job is %s, %d spent", record.State, record.Spent)
	}
	if got := r.attempts(id)[0].Message; !strings.Contains(got, "shut down") {
		t.Errorf("the attempt says %q", got)
	}
}

// TestKilledBeforeItCouldStart has a job that a pause keeps from starting and whose
// files are too large. The job is at fault, not the node.
func TestKilledBeforeItCouldStart(t *testing.T) {
	t.Parallel()
	reports := make(chan report.Attempt, 1)
	r := newFixture(t, func(c *Config) {
		c.Attempts, c.MaxScratch = 1, 64<<10
		c.OnEnded = func(e report.Attempt) { reports <- e }
	})
	r.install("quick", "echo 1")
	asked, release := make(chan struct{}, 1), make(chan struct{})
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		_, _ = w.Write(make([]byte, 64<<10))
	})
	n := r.start()
	j := job("quick")
	j.Files = []jobs.File{{Name: "f", URL: url}}
	r.submit(j)
	receive(t, asked)
	n.Pause("backup")
	close(release)
	if record := r.await(j.ID, jobs.Failed); record.Error.Class != jobs.OutcomeKilled || !strings.Contains(record.Error.Message, "64 KiB") {
		t.Errorf("%+v", record.Error)
	}
	if e := receive(t, reports); e.Run != 0 || e.SpanID != "" {
		t.Errorf("%+v", e)
	}
}

// TestPauseAndResumeAtOnce checks that programs are paused if and only if no work is
// taken, whichever call comes last.
func TestPauseAndResumeAtOnce(t *testing.T) {
	t.Parallel()
	for range 5000 {
		w := &Worker{cfg: Config{Logger: slog.New(slog.DiscardHandler)}, gate: newIntakeGate(), pause: process.NewPauseGate()}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { w.Pause("") })
			all.Go(w.Resume)
		}
		all.Wait()
		if open, _ := w.gate.open(); open == w.Paused() {
			t.Fatalf("paused is %v, and work is taken is %v", w.Paused(), open)
		}
	}
}
