package worker

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

func (r *fixture) act(verb ledger.Verb, id string) {
	r.t.Helper()
	acted, err := r.ledger.Act(r.t.Context(), verb, "a person", []ledger.Target{{ID: id}})
	r.must(err)
	r.must(acted[0].Err)
}

// TestVerbs stops a program that ends slowly. Only a cancellation gives it time.
func TestVerbs(t *testing.T) {
	t.Parallel()
	for verb, c := range map[ledger.Verb]struct {
		state   jobs.State
		log     string
		message string
	}{
		ledger.VerbCancel:    {jobs.Cancelled, "bye\n", "cancelled while it ran"},
		ledger.VerbStop:      {jobs.Cancelled, "bye\n", "cancelled while it ran"},
		ledger.VerbTerminate: {jobs.Cancelled, "hello\n", "terminated while it ran"},
		ledger.VerbReset:     {jobs.Queued, "hello\n", "reset while it ran"},
	} {
		t.Run(string(verb), func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Slots, c.Grace = 1, time.Hour })
			r.install("p", `echo hello >&2; trap 'sleep 0.2; echo bye >&2; exit 1' TERM; echo '{"message":"running"}' >&3
				while :; do sleep 0.01; done`)
			n := r.start()
			id := r.submit(job("p"))
			r.awaitMessage(id)
			if verb == ledger.VerbReset {
				n.Hold("so that the job is seen between its attempts")
			}
			r.act(verb, id)
			record := r.await(id, c.state)
			first := r.attempts(id)[0]
			if first.Message != c.message || record.Spent != 0 || !record.NotBefore.IsZero() {
				t.Errorf("the attempt says %q, %d spent, not before %s", first.Message, record.Spent, record.NotBefore)
			}
			log := string(r.object(store.LogKey(id, 1)))
			if tail := log[max(0, len(log)-len(c.log)):]; tail != c.log {
				t.Errorf("the log is %q, want %q at its end", log, c.log)
			}
		})
	}
}

// TestResetStartsOver checks that a reset clears the spent attempts and runs the job
// again.
func TestResetStartsOver(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("p", `case $RUNNERBEAN_ATTEMPT in
		1) exit 1;; 2) echo '{"message":"running"}' >&3; exec sleep 1000;; esac; echo 3`)
	r.start()
	id := r.submit(job("p"))
	r.awaitMessage(id)
	r.act(ledger.VerbReset, id)
	record := r.await(id, jobs.Succeeded)
	want := []jobs.Outcome{jobs.OutcomeError, jobs.OutcomeInterrupted, jobs.OutcomeSucceeded}
	if diff := cmp.Diff(want, r.outcomes(id)); diff != "" || record.Spent != 0 {
		t.Errorf("%d spent; %s", record.Spent, diff)
	}
	r.tubeEmpty("p")
}

// TestEscalation terminates or resets a program that does not end after a cancellation.
func TestEscalation(t *testing.T) {
	t.Parallel()
	for verb, c := range map[ledger.Verb]struct {
		state   jobs.State
		message string
	}{
		ledger.VerbTerminate: {jobs.Cancelled, "terminated while it ran"}, ledger.VerbReset: {jobs.Queued, "reset while it ran"},
	} {
		t.Run(string(verb), func(t *testing.T) {
			t.Parallel()
			r := newFixture(t, func(c *Config) { c.Grace = time.Hour })
			r.install("p", `trap 'echo "{\"message\":\"never\"}" >&3' TERM; echo '{"message":"running"}' >&3; while :; do sleep 0.01; done`)
			n := r.start()
			id := r.submit(job("p"))
			r.awaitMessage(id)
			n.Hold("so that the job is seen between its attempts")
			r.act(ledger.VerbCancel, id)
			r.until("the program was asked", func() bool { return r.get(id).Live.Message == "never" })
			r.act(verb, id)
			r.await(id, c.state)
			if got := r.attempts(id)[0].Message; got != c.message {
				t.Errorf("the attempt says %q", got)
			}
		})
	}
}

// TestVerbsDuringFetch checks that each verb ends the fetch at once.
func TestVerbsDuringFetch(t *testing.T) {
	t.Parallel()
	for verb, want := range map[ledger.Verb]jobs.State{
		ledger.VerbCancel: jobs.Cancelled, ledger.VerbTerminate: jobs.Cancelled, ledger.VerbReset: jobs.Queued,
	} {
		t.Run(string(verb), func(t *testing.T) {
			t.Parallel()
			r := newFixture(t)
			asked := make(chan struct{}, 1)
			r.install("cat", "cat")
			n := r.start()
			j := job("cat")
			j.Input = jobs.Input{URL: serve(t, hang(asked))}
			r.submit(j)
			receive(t, asked)
			n.Hold("so that the job is seen between its attempts")
			r.act(verb, j.ID)
			if record := r.await(j.ID, want); record.Spent != 0 {
				t.Errorf("%d spent", record.Spent)
			}
		})
	}
}

// TestVerbForOneAttempt checks that a verb stops one attempt, and not an older one of
// the same job on this node.
func TestVerbForOneAttempt(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.holdsEvery = time.Hour })
	open := r.gates("p", "$N")
	n := r.start()
	j := job("p")
	r.submit(j)
	r.awaitMessage(j.ID)
	r.recover(r.cfg.Instance)
	r.put(j)
	r.until("there are two attempts", func() bool { return len(n.running.list()) == 2 })
	r.act(ledger.VerbTerminate, j.ID)
	r.await(j.ID, jobs.Cancelled)
	if a := n.running.get(attemptKey{j.ID, 1}); a == nil || a.stop.asked() != "" {
		t.Error("the first attempt was stopped too")
	}
	open(1)
	r.until("both have ended", n.idle)
	if r.published(j.ID) {
		t.Error("a cancelled job has a result")
	}
}
