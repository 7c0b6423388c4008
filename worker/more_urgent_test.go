package worker

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// order installs programs that write a line with their input when they start.
func (r *fixture) order(programs ...string) (lines func() []string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "order")
	for _, name := range programs {
		r.install(name, "cat >>"+path+"; echo >>"+path+"; echo 1")
	}
	return func() []string {
		data, err := os.ReadFile(path)
		r.must(err)
		return strings.Fields(string(data))
	}
}

// placed accepts a job that is due now and puts its message with a delay.
func (r *fixture) placed(program, says string, priority uint32, delay time.Duration) string {
	r.t.Helper()
	return r.placedAfter(func(string) {}, program, says, priority, delay)
}

// placedAfter is placed for a job after past has changed it.
func (r *fixture) placedAfter(past func(id string), program, says string, priority uint32, delay time.Duration) string {
	r.t.Helper()
	j := job(program)
	j.Priority, j.NotBefore = &priority, time.Now().UTC().Add(-time.Millisecond)
	j.Input = jobs.Input{Data: []byte(says)}
	r.accept(j)
	past(j.ID)
	receipt, err := r.producer.Put(r.t.Context(), queue.Message{
		Tube: queue.RunTube(testPrefix, r.ledger.ID(), program), Body: []byte(`{"id":"` + j.ID + `","program":"` + program + `"}`),
		Priority: priority, Delay: delay, TTR: time.Minute,
	})
	r.must(err)
	r.must(r.ledger.MarkSent(r.t.Context(), []ledger.Sent{{ID: j.ID, Server: receipt.Server, Message: receipt.ID}}))
	return j.ID
}

// TestPriorityDecidesAmongDueJobs checks that due jobs run by priority, whatever their
// programs are and however late their messages come.
func TestPriorityDecidesAmongDueJobs(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	lines := r.order("a", "b")
	ids := []string{
		r.placed("a", "900", 900, 0), r.placed("b", "5", 5, time.Hour), r.placed("a", "70", 70, time.Hour),
		r.placed("b", "800", 800, 0), r.placed("a", "0", 0, 2*time.Hour), r.placed("absent", "1", 1, time.Hour),
	}
	r.start()
	for _, id := range ids[:5] {
		r.await(id, jobs.Succeeded)
	}
	if diff := cmp.Diff([]string{"0", "5", "70", "800", "900"}, lines()); diff != "" {
		t.Error(diff)
	}
	r.tubeEmpty("a")
	r.tubeEmpty("b")
}

// TestMoreUrgentMessageThatCannotBeHad checks that a node does not wait for a message
// that another one has, or whose id is another message's now.
func TestMoreUrgentMessageThatCannotBeHad(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.order("a")
	held := r.placed("a", "1", 1, 0)
	stranger, err := queue.NewConsumer(r.cfg.Queue)
	r.must(err)
	defer stranger.Close()
	_, err = stranger.Reserve(t.Context(), []string{queue.RunTube(testPrefix, r.ledger.ID(), "a")})
	r.must(err)
	wrong, gone := r.placed("a", "2", 2, time.Hour), r.placed("a", "3", 3, time.Hour)
	other, err := r.producer.Put(t.Context(), queue.Message{Tube: "else", Body: []byte(`{"id":"x"}`), Priority: 9, TTR: time.Minute})
	r.must(err)
	r.must(r.ledger.MarkSent(t.Context(), []ledger.Sent{{ID: wrong, Server: other.Server, Message: other.ID}, {ID: gone, Server: other.Server, Message: 4711}}))
	last := r.placed("a", "4", 4, 0)
	r.start()
	r.await(last, jobs.Succeeded)
	for _, id := range []string{held, wrong, gone} {
		if record := r.get(id); record.State != jobs.Queued {
			t.Errorf("job is %s", record.State)
		}
	}
	stats, err := r.producer.MessageStats(t.Context(), r.bean.Addr, []uint64{other.ID})
	r.must(err)
	if stats[0]["state"] != "ready" || stats[0]["pri"] != "9" {
		t.Errorf("the other's message: %v", stats[0])
	}
}

// failAlone loses a job with its nodes until it runs alone, fails it then and makes it
// due now.
func (r *fixture) failAlone(id string) {
	r.t.Helper()
	for range ledger.QuarantineAfter {
		r.lose(id)
	}
	claim, err := r.ledger.Claim(r.t.Context(), id, ledger.Owner{Node: "n0", Instance: jobs.NewID(), Alone: true}, "")
	r.must(err)
	_, err = r.ledger.Finish(r.t.Context(), id, claim.Record.Attempt, ledger.Ending{
		Outcome: jobs.OutcomeError, State: jobs.Queued, NotBefore: time.Now().Add(-time.Millisecond),
	})
	r.must(err)
}

// TestMoreUrgentJobThatIsNotRunHere checks that other jobs do not wait for a more
// urgent one that this node does not run: its program is bad here, or it has to run
// alone and the node is busy.
func TestMoreUrgentJobThatIsNotRunHere(t *testing.T) {
	t.Parallel()
	r := newFixture(t, patient)
	lines := r.order("good")
	open := r.gate("slow")
	r.must(os.WriteFile(filepath.Join(r.cfg.Programs, "bad"), []byte("#!/no/such/shell\n"), 0o755))
	r.announceElsewhere("bad")
	r.start()
	slow := r.submit(job("slow"))
	r.awaitMessage(slow)
	left := []string{
		r.placed("bad", "1", 1, time.Hour),
		r.placedAfter(r.failAlone, "good", "2", 2, time.Hour),
	}
	ids := []string{r.placed("good", "3", 3, 0), r.placed("good", "4", 4, 0)}
	for _, id := range ids {
		r.await(id, jobs.Succeeded)
	}
	for _, id := range left {
		if record := r.get(id); record.State != jobs.Queued {
			t.Errorf("job is %s", record.State)
		}
	}
	if diff := cmp.Diff([]string{"3", "4"}, lines()); diff != "" {
		t.Error(diff)
	}
	open()
	r.await(slow, jobs.Succeeded)
}
