package worker

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/jobs"
)

// gate installs a program that reports that it runs and then waits for open.
func (r *fixture) gate(name string) (open func()) {
	path := filepath.Join(r.dir, name+".gate")
	r.install(name, `echo '{"message":"running"}' >&3; while [ ! -e `+path+` ]; do sleep 0.01; done; echo 1`)
	return func() { r.must(os.WriteFile(path, nil, 0o600)) }
}

func (r *fixture) awaitMessage(id string) {
	r.until("the program says that it runs", func() bool { return r.get(id).Live.Message == "running" })
}

// TestShutdownLetsJobsFinish checks the first of the two stages of a shutdown.
func TestShutdownLetsJobsFinish(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	open := r.gate("slow")
	n := r.start()
	id := r.submit(job("slow"))
	r.awaitMessage(id)
	n.stop()
	late := r.submit(job("slow"))
	open()
	n.wait()
	if got := r.get(id).State; got != jobs.Succeeded {
		t.Errorf("the running job is %s", got)
	}
	if got := r.get(late).State; got != jobs.Queued {
		t.Errorf("the job that came after the end of work is %s", got)
	}
}

// TestShutdownInterrupts checks the second stage, after the grace time or by force. The
// job is not charged, and another node runs it at once.
func TestShutdownInterrupts(t *testing.T) {
	t.Parallel()
	for _, force := range []bool{false, true} {
		r := newFixture(t, func(c *Config) {
			if c.ShutdownGrace = 50 * time.Millisecond; force {
				c.ShutdownGrace = time.Hour
			}
		})
		open := r.gate("slow")
		n := r.start()
		id := r.submit(job("slow"))
		r.awaitMessage(id)
		n.stop()
		if force {
			n.kill()
		}
		n.wait()
		record := r.get(id)
		if record.State != jobs.Queued || record.Spent != 0 || record.Interruptions != 1 || !record.NotBefore.IsZero() {
			t.Errorf("job is %s, %d spent, %d interruptions, not before %s", record.State, record.Spent, record.Interruptions, record.NotBefore)
		}
		open()
		r.start()
		r.await(id, jobs.Succeeded)
		if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeInterrupted, jobs.OutcomeSucceeded}, r.outcomes(id)); diff != "" {
			t.Error(diff)
		}
		r.tubeEmpty("slow")
	}
}

// TestShutdownDuringFetch interrupts a job that has no process yet.
func TestShutdownDuringFetch(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.ShutdownGrace = -1 })
	asked := make(chan struct{}, 1)
	url := serve(t, hang(asked))
	r.install("cat", "cat")
	n := r.start()
	j := job("cat")
	j.Input = jobs.Input{URL: url}
	id := r.submit(j)
	receive(t, asked)
	n.stop()
	n.wait()
	if record := r.get(id); record.State != jobs.Queued || record.Spent != 0 {
		t.Errorf("job is %s: %+v", record.State, record.Error)
	}
}

func TestNoSlots(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots, c.Scratch = 0, "" })
	r.install("cat", "cat")
	n := r.start()
	id := r.submit(job("cat"))
	n.stop()
	n.wait()
	if got := r.get(id).State; got != jobs.Queued {
		t.Errorf("job is %s", got)
	}
}
