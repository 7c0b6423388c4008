package worker

import (
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
)

// TestNodeInTroubleTriesOneJobNowAndThen makes the scratch folder a file. Once the node is
// in trouble one executor at a time tries a job: none waits by itself any more.
func TestNodeInTroubleTriesOneJobNowAndThen(t *testing.T) {
	t.Parallel()
	var pauses, changes atomic.Int32
	r := newFixture(t, func(c *Config) {
		c.onPause, c.OnTrouble = func() { pauses.Add(1) }, func() { changes.Add(1) }
		c.Slots = 1
	})
	r.install("echo", "cat")
	n := r.start()
	r.await(r.submit(job("echo")), jobs.Succeeded)
	if s := n.Trouble(); s != nil {
		t.Errorf("in trouble after a success: %+v", s)
	}
	r.must(os.RemoveAll(r.cfg.Scratch))
	r.must(os.WriteFile(r.cfg.Scratch, nil, 0o600))
	var ids []string
	for range 10 {
		ids = append(ids, r.submit(job("echo")))
	}
	// Each of the two executors may have waited once more when the node got into trouble.
	const most = 3 + 2
	r.until("the node has tried again and again", func() bool { s := n.Trouble(); return s != nil && s.Faults > 2*most })
	if s := n.Trouble(); !strings.Contains(s.Reason, "no scratch folder") || s.Since.IsZero() {
		t.Errorf("the trouble is %+v", s)
	}
	if p := pauses.Load(); p > most {
		t.Errorf("executors waited by themselves %d times, want at most %d", p, most)
	}
	r.must(os.Remove(r.cfg.Scratch))
	for _, id := range ids {
		if record := r.await(id, jobs.Succeeded); record.Spent != 0 {
			t.Errorf("a fault of the node has cost %d attempts", record.Spent)
		}
	}
	if s := n.Trouble(); s != nil {
		t.Errorf("in trouble after the end of it: %+v", s)
	}
	if c := changes.Load(); c != 2 {
		t.Errorf("%d changes were told, want 2", c)
	}
}

// TestScratchFolderThatIsRemovedIsMadeAgain removes the folder between two jobs and under a
// job that runs. No job notices.
func TestScratchFolderThatIsRemovedIsMadeAgain(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("echo", "cat")
	n := r.start()
	for range 3 {
		for range 4 { // all executors have their folders
			r.await(r.submit(job("echo")), jobs.Succeeded)
		}
		r.must(os.RemoveAll(r.cfg.Scratch))
		id := r.submit(job("echo"))
		if record := r.await(id, jobs.Succeeded); record.Attempt != 1 {
			t.Errorf("the job needed %d attempts: %v", record.Attempt, r.outcomes(id))
		}
	}
	if s := n.Trouble(); s != nil {
		t.Errorf("the node is in trouble: %+v", s)
	}
}
