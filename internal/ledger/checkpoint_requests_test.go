package ledger

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// able registers the instance that runs jobs, with the program p of the test. It says whether the
// program saves on request.
func (d *fixture) able(program string, saves bool) {
	d.t.Helper()
	d.must(d.Nodes.Register(d.t.Context(), nodes.Node{Name: "n1", Instance: "i1", Home: "h", Programs: []nodes.Program{
		{Name: "other", SHA256: "s", Checkpoint: true}, {Name: program, SHA256: "s", Checkpoint: saves},
	}}))
}

func (d *fixture) asked(id string) (list []checkpoints.Request) {
	d.t.Helper()
	list, err := d.Checkpoints.Requests(d.t.Context(), []string{id, jobs.NewID()})
	d.must(err)
	return list
}

// A request is there once, until it is answered. That of an older attempt gives way.
func TestCheckpointRequests(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	d.able(d.record(id).Program, false)
	first := d.run(id)
	if _, err := d.act(VerbCheckpoint, id); !errors.Is(err, checkpoints.ErrUnable) || len(d.asked(id)) != 0 {
		t.Fatalf("%v, %v", err, d.asked(id))
	}
	d.able(d.record(id).Program, true)
	var once []checkpoints.Request
	for range 2 {
		d.clock.advance(time.Second)
		r, err := d.act(VerbCheckpoint, id)
		d.must(err)
		if list := d.asked(id); len(list) != 1 || list[0].Job != id || list[0].Attempt != first || list[0].By != "Ann" || r.State != jobs.Running || r.Asked != "" {
			t.Fatalf("%+v, %+v", list, r)
		}
		once = append(once, d.asked(id)...)
	}
	if once[0] != once[1] {
		t.Errorf("%+v", once)
	}
	events, err := d.Events.Newest(t.Context(), id, 100)
	d.must(err)
	said := slices.DeleteFunc(events, func(e eventlog.Event) bool { return e.Kind != eventlog.KindCheckpointAsked })
	if len(said) != 1 || said[0].By != "Ann" || said[0].Node != "n1" {
		t.Errorf("%+v", said)
	}
	d.end(id, first, jobs.Queued, jobs.OutcomeInterrupted)
	second := d.run(id)
	_, err = d.act(VerbCheckpoint, id)
	d.must(err)
	d.must(d.Checkpoints.Answered(t.Context(), once[0])) // too late
	if list := d.asked(id); len(list) != 1 || list[0].Attempt != second {
		t.Fatalf("%+v", list)
	}
	d.must(d.Checkpoints.Answered(t.Context(), d.asked(id)[0]))
	if list := d.asked(id); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

// A request that a dead node has left is forgotten after a day, and with its job.
func TestLeftCheckpointRequests(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	left, deleted := d.add(nil), d.add(nil)
	d.able(d.record(left).Program, true)
	for _, id := range []string{left, deleted} {
		n := d.run(id)
		_, err := d.act(VerbCheckpoint, id)
		d.must(err)
		d.end(id, n, jobs.Failed, jobs.OutcomeFailed)
	}
	_, err := d.act(VerbDelete, deleted)
	d.must(err)
	if list := d.asked(deleted); len(list) != 0 {
		t.Errorf("%+v", list)
	}
	for after, want := range []int{1, 0} {
		_, err := d.Checkpoints.Look(t.Context(), checkpoints.Key{})
		d.must(err)
		if list := d.asked(left); len(list) != want {
			t.Errorf("look %d: %+v", after, list)
		}
		d.clock.advance(25 * time.Hour)
	}
}

// A broken checkpoint is not one of the two that are kept.
func TestBrokenCheckpointsDoNotCount(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	n := d.run(id)
	d.save(id, n)
	d.save(id, n)
	d.end(id, n, jobs.Queued, jobs.OutcomeLost)
	n = d.run(id)
	d.must(d.Checkpoints.Tried(t.Context(), checkpoints.Checkpoint{Job: id, Number: 2}, n, "it is broken"))
	d.must(d.Checkpoints.Tried(t.Context(), checkpoints.Checkpoint{Job: id, Number: 1}, n, ""))
	list, err := d.Checkpoints.Kept(t.Context(), id)
	d.must(err)
	if len(list) != 2 || list[0].Broken != "it is broken" || list[0].Restored != 0 || list[1].Broken != "" || list[1].Restored != n {
		t.Errorf("%+v", list)
	}
	d.save(id, n)
	d.wantCheckpoints(id, []int{3, 1}, []int{2})
	d.save(id, n)
	d.wantCheckpoints(id, []int{4, 3}, []int{1, 2})
}
