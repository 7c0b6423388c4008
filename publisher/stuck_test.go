package publisher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// Reason, verdict and overview name a need that nobody has put for ten minutes.
func TestMissingNeedIsToldOf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	before := b.ledger
	past, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + b.folder + "/ledger.db", Now: func() time.Time { return time.Now().Add(-11 * time.Minute) }})
	if err != nil {
		t.Fatal(err)
	}
	need := jobs.NewID()
	b.ledger = past
	id := b.queued(fmt.Sprintf(`"needs":[%q],"needs_timeout":"forever"`, need))
	b.ledger = before
	if err := past.Close(); err != nil {
		t.Fatal(err)
	}
	want := "needs job " + need + ", which nobody has put since "
	if d := decodeAs[api.Details](t, b.ask("GET", "/api/v1/jobs/"+id, "")); !strings.Contains(d.Why, want) {
		t.Errorf("why %q, want %q in it", d.Why, want)
	}
	o := decodeAs[api.Overview](t, b.ask("GET", "/api/v1/overview", ""))
	if m := o.Queue.Missing; m == nil || m.Count != 1 || m.Job != id || m.Need != need || !strings.Contains(fmt.Sprint(o.Verdict.Findings), want) {
		t.Errorf("%+v, %+v", m, o.Verdict)
	}
}

// A running job that restarts have interrupted again and again says so, and the verdict does.
func TestInterruptionsAreToldOf(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	for range ledger.ManyInterruptions {
		b.finish(id, b.running(id), ledger.Ending{State: jobs.Queued, Outcome: jobs.OutcomeInterrupted, Shutdown: true, Reason: "node1 was shut down"})
	}
	check := func(when string) {
		t.Helper()
		const want = "interrupted it 3 times"
		if d := decodeAs[api.Details](t, b.ask("GET", "/api/v1/jobs/"+id, "")); strings.Count(d.Status.Reason, want) != 1 {
			t.Errorf("%s: reason %q, want %q in it once", when, d.Status.Reason, want)
		}
	}
	check("queued")
	if b.running(id) != ledger.ManyInterruptions+1 {
		t.Error("it does not run again")
	}
	check("running")
	o := decodeAs[api.Overview](t, b.ask("GET", "/api/v1/overview", ""))
	if i := o.Queue.Interrupted; i == nil || i.Count != 1 || i.Job != id || i.Times != 3 || !strings.Contains(fmt.Sprint(o.Verdict.Findings), "interrupted job") {
		t.Errorf("%+v, %+v", i, o.Verdict)
	}
}
