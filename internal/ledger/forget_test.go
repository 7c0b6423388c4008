package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestForgottenNodeLeavesNothing forgets a dead node once its job was taken back.
func TestForgottenNodeLeavesNothing(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "i2", Home: "h"}))
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "i3", Home: "h"}))
	d.must(d.Nodes.Beat(t.Context(), "i3", nil, 2, []byte("{}")))
	d.must(d.Nodes.Drain(t.Context(), "n2", "ann", ""))
	_, err := d.Nodes.SetControl(t.Context(), "n2", func(c *nodes.Control) { c.Paused = true }, "ann", nil)
	d.must(err)
	id := d.add(nil)
	_, err = d.Claim(t.Context(), id, Owner{Instance: "i3", Node: "n2"}, "")
	d.must(err)
	refused := func(want error, name string) {
		t.Helper()
		if n, err := d.Nodes.Forget(t.Context(), name, "ann"); !errors.Is(err, want) || n != 0 {
			t.Errorf("forget %q: %d, %v, want %v", name, n, err, want)
		}
	}
	refused(nodes.ErrAlive, "n2")
	refused(nodes.ErrNoNode, "n4")
	refused(nodes.ErrNoNode, "")
	d.clock.advance(time.Minute)
	d.must(d.Nodes.Beat(t.Context(), "i1", nil, 1, nil))
	refused(nodes.ErrRuns, "n2")
	if lost, err := d.Recover(t.Context(), 0); err != nil || len(lost) != 1 || lost[0].State != jobs.Queued {
		t.Fatal(lost, err)
	}
	if n, err := d.Nodes.Forget(t.Context(), "n2", "ann"); n != 2 || err != nil {
		t.Error(n, err)
	}
	d.wantRows("nodes", 1)
	d.wantRows("vitals", 0)
	d.wantRows("drains", 0)
	d.wantRows("controls", 0)
	if events := d.logPages(eventlog.Filter{Kind: eventlog.KindForgotten}); len(events) != 1 || events[0].By != "ann" || events[0].Node != "n2" {
		t.Errorf("%+v", events)
	}
	refused(nodes.ErrNoNode, "n2")
	// It was only silent: its heartbeat has it register again.
	if err := d.Nodes.Beat(t.Context(), "i3", nil, 1, nil); !errors.Is(err, nodes.ErrInstance) {
		t.Error(err)
	}
}

// TestForgetTheDrainOfANodeThatIsGone forgets a name of which only the drain is left.
func TestForgetTheDrainOfANodeThatIsGone(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.must(d.Nodes.Drain(t.Context(), "", "ann", "the queue"))
	d.must(d.Nodes.Drain(t.Context(), "gone", "ann", ""))
	if n, err := d.Nodes.Forget(t.Context(), "gone", ""); n != 0 || err != nil {
		t.Error(n, err)
	}
	d.wantRows("drains", 1)
}
