package publisher

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/readmodel"
)

func TestOverviewCountsWhatEnded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	for range 3 {
		b.inState(jobs.Succeeded)
	}
	b.failed()
	b.inState(jobs.Cancelled)
	again := b.queued("")
	b.finish(again, b.running(again), ledger.Ending{Outcome: jobs.OutcomeTimeout, State: jobs.Queued})
	if err := b.ledger.Activity.SampleDepth(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, back := range readmodel.Lookbacks {
		o := decodeAs[api.Overview](t, b.get("/api/v1/overview?range="+back.Name))
		want := map[jobs.State]int64{jobs.Succeeded: 3, jobs.Failed: 1, jobs.Cancelled: 1}
		if diff := cmp.Diff(want, o.Ended) + cmp.Diff(want, o.LastHour); diff != "" {
			t.Errorf("%s: %s", back.Name, diff)
		}
		if o.Failures[jobs.OutcomeFailed] != 1 || o.Unfinished[jobs.OutcomeTimeout] != 1 || len(o.Failures)+len(o.Unfinished) != 2 {
			t.Errorf("%s: failures %v, unfinished %v", back.Name, o.Failures, o.Unfinished)
		}
		steps := int(o.Window.Until.Sub(o.Window.From).Seconds() / o.Window.Step)
		if len(o.Depth) != 3 || len(o.Depth[0].Points) != steps || o.Depth[0].Points[steps-1] == nil || *o.Depth[0].Points[steps-1] != 1 {
			t.Errorf("%s: %d steps, depth %+v", back.Name, steps, o.Depth)
		}
		if len(o.FinishedByNode) != 1 || o.FinishedByNode[0].Name != testNode || len(o.FinishedByProgram) != 1 || len(o.FinishedByProgram[0].Points) != steps {
			t.Errorf("%s: %+v %+v", back.Name, o.FinishedByNode, o.FinishedByProgram)
		}
		if q := o.Queue.Programs; len(q) != 1 || q[0].Program != testProgram || q[0].Queued != 1 || q[0].Oldest.IsZero() {
			t.Errorf("%s: %+v", back.Name, o.Queue)
		}
	}
	d := decodeAs[api.ProgramDetails](t, b.get("/api/v1/programs/"+testProgram+"?range=24h"))
	if d.Ended[jobs.Succeeded] != 3 || d.Queue.Queued != 1 || d.Failures[jobs.OutcomeFailed] != 1 || len(d.Finished) != 3 || len(d.Durations) == 0 {
		t.Errorf("%+v", d)
	}
	l := decodeAs[api.Programs](t, b.get("/api/v1/programs")).Programs
	if len(l) != 1 || l[0].Ended[jobs.Succeeded] != 3 || l[0].Queued != 1 || len(l[0].Nodes) != 1 {
		t.Errorf("%+v", l)
	}
}
