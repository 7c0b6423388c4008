package publisher

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/jobs"
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
	for _, back := range lookbacks {
		o := decodeAs[api.Overview](t, b.get("/api/v1/overview?range="+back.name))
		want := map[jobs.State]int64{jobs.Succeeded: 3, jobs.Failed: 1, jobs.Cancelled: 1}
		if diff := cmp.Diff(want, o.Ended) + cmp.Diff(want, o.LastHour); diff != "" {
			t.Errorf("%s: %s", back.name, diff)
		}
		if o.Failures[jobs.OutcomeFailed] != 1 || o.Unfinished[jobs.OutcomeTimeout] != 1 || len(o.Failures)+len(o.Unfinished) != 2 {
			t.Errorf("%s: failures %v, unfinished %v", back.name, o.Failures, o.Unfinished)
		}
		steps := int(o.Window.Until.Sub(o.Window.From).Seconds() / o.Window.Step)
		if len(o.Depth) != 3 || len(o.Depth[0].Points) != steps || o.Depth[0].Points[steps-1] == nil || *o.Depth[0].Points[steps-1] != 1 {
			t.Errorf("%s: %d steps, depth %+v", back.name, steps, o.Depth)
		}
		if len(o.FinishedByNode) != 1 || o.FinishedByNode[0].Name != testNode || len(o.FinishedByProgram) != 1 || len(o.FinishedByProgram[0].Points) != steps {
			t.Errorf("%s: %+v %+v", back.name, o.FinishedByNode, o.FinishedByProgram)
		}
		if q := o.Queue.Programs; len(q) != 1 || q[0].Program != testProgram || q[0].Queued != 1 || q[0].Oldest.IsZero() {
			t.Errorf("%s: %+v", back.name, o.Queue)
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

func TestLinesOfMany(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	a := activity.History{From: from, Step: 10 * time.Minute, Steps: 3}
	var list []activity.Tally
	for i := range 12 {
		list = append(list, activity.Tally{Step: 0, Node: fmt.Sprintf("n%02d", i), State: jobs.Succeeded, N: int64(100 - i)})
	}
	list = append(list, activity.Tally{Step: 1, Node: "n11", State: jobs.Failed, N: 7}, activity.Tally{Step: 2, Node: "n11", State: jobs.Failed, N: 5},
		activity.Tally{Step: 1, Node: "n00", N: 1000}, activity.Tally{Step: 1, State: jobs.Cancelled, N: 1000}, activity.Tally{Step: 9, Node: "n00", State: jobs.Failed, N: 1})
	node := func(t activity.Tally) string { return t.Node }
	got := lines(a, list, from.Add(25*time.Minute), node)
	if len(got) != mostLines+1 || got[0].Name != "n11" || got[1].Name != "n00" || got[mostLines].Name != api.Others {
		t.Fatalf("%+v", got)
	}
	if p := got[0].Points; *p[0] != 8.9 || *p[1] != 0.7 || *p[2] != 1 {
		t.Errorf("the first line: %v %v %v, the last step has 5 minutes", *p[0], *p[1], *p[2])
	}
	if p := got[mostLines].Points; *p[0] != (93+92+91+90)/10.0 || *p[1] != 0 {
		t.Errorf("others: %v %v", *p[0], *p[1])
	}
	if p := lines(a, list, from.Add(21*time.Minute), node)[0].Points; p[2] != nil || p[1] == nil {
		t.Error("something is known of a step that has just begun")
	}
	list[1].Node = api.Others
	if got := lines(a, list, from.Add(time.Hour), node); got[mostLines].Name != "other others" {
		t.Errorf("a node is named others: %s", got[mostLines].Name)
	}
}
