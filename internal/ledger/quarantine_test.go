package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/jobs"
)

// lose loses a running job n times with its node.
func (d *fixture) lose(id string, n int) {
	d.t.Helper()
	for range n {
		d.run(id)
		d.clock.advance(time.Minute)
		_, err := d.Recover(d.t.Context(), 0)
		d.must(err)
		d.must(d.Nodes.Beat(d.t.Context(), "i1", nil, 1, nil))
	}
}

// claims claims a job beside others.
func (d *fixture) claims(id string) Claim {
	d.t.Helper()
	c, err := d.Claim(d.t.Context(), id, Owner{Instance: "i1", Node: "n1"}, "")
	d.must(err)
	return c
}

// TestQuarantine follows a job that ends its nodes until it fails.
func TestQuarantine(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.lose(id, 1)
	if c := d.claims(id); !c.OK || c.Record.Quarantined || c.Record.Reason != "" {
		t.Fatalf("after one loss: %+v", c)
	}
	d.clock.advance(time.Minute)
	_, err := d.Recover(t.Context(), 0)
	d.must(err)
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))

	c := d.claims(id)
	if want := "its node died; runs alone after 2 losses with its node; waits for an idle node"; c.OK || !c.Quarantine || c.Record.Reason != want {
		t.Fatalf("after two losses: %+v", c)
	}
	d.lose(id, QuarantineLimit-1)
	if r := d.wantState(id, jobs.Queued); !r.RunsAlone() || r.AloneCrashes != QuarantineLimit-1 || !strings.Contains(r.Reason, "runs alone after 4 losses") {
		t.Errorf("%+v", r)
	}
	d.lose(id, 1)
	r := d.wantState(id, jobs.Failed)
	if !strings.Contains(r.Error.Message, "lost 2 times beside other jobs and 3 times alone") {
		t.Error(r.Error.Message)
	}
	list, err := d.Attempts(t.Context(), id)
	d.must(err)
	var alone []bool
	for _, a := range list {
		alone = append(alone, a.Quarantined)
	}
	if !slices.Equal(alone, []bool{false, false, true, true, true}) {
		t.Error(alone)
	}
	events, err := d.Events.Newest(t.Context(), id, 100)
	d.must(err)
	if !slices.ContainsFunc(events, func(e eventlog.Event) bool {
		return e.Kind == eventlog.KindLost && strings.Contains(e.Message, "with nothing beside it")
	}) {
		t.Errorf("%+v", events)
	}

	// A retry clears the budgets.
	_, err = d.act(VerbRetry, id)
	d.must(err)
	if c := d.claims(id); !c.OK || c.Record.Crashes != 0 || c.Record.AloneCrashes != 0 || c.Record.Quarantined {
		t.Errorf("after a retry: %+v", c)
	}
}

// TestQuarantineCountsLossesOnly checks that other ends do not lead to quarantine, and
// the reason of a job that will run alone.
func TestQuarantineCountsLossesOnly(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	for range 2 * (QuarantineAfter + QuarantineLimit) { // a node that is restarted in good order
		c := d.claims(id)
		if !c.OK || c.Quarantine {
			t.Fatalf("%+v", c)
		}
		_, err := d.Finish(t.Context(), id, c.Record.Attempt, ending(jobs.Queued, jobs.OutcomeInterrupted))
		d.must(err)
	}
	d.lose(id, QuarantineAfter)
	for range 2 * QuarantineLimit {
		_, err := d.Finish(t.Context(), id, d.run(id), ending(jobs.Queued, jobs.OutcomeInterrupted))
		d.must(err)
	}
	if r := d.wantState(id, jobs.Queued); !strings.Contains(r.Reason, "waits for an idle node") || r.AloneCrashes != 0 {
		t.Errorf("%+v", r)
	}
	_, err := d.act(VerbReset, id)
	d.must(err)
	if c := d.claims(id); !c.OK || c.Record.Quarantined {
		t.Errorf("after a reset: %+v", c)
	}
}

// TestQuarantineRefusesFirst checks that a job that is not due, or has ended, is refused
// for that.
func TestQuarantineRefusesFirst(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.lose(id, QuarantineAfter)
	e := ending(jobs.Queued, jobs.OutcomeTimeout)
	e.NotBefore = d.clock.now().Add(time.Minute)
	_, err := d.Finish(t.Context(), id, d.run(id), e)
	d.must(err)
	if c := d.claims(id); c.OK || c.Quarantine || c.Record.State != jobs.Queued {
		t.Errorf("not due: %+v", c)
	}
	d.clock.advance(2 * time.Minute)
	d.run(id)
	if c := d.claims(id); c.OK || c.Quarantine || c.Record.State != jobs.Running {
		t.Errorf("running: %+v", c)
	}
}
