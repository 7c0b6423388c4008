package publisher

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// able makes the node announce that its program saves on request.
func (b *bench) able() {
	b.t.Helper()
	list := []nodes.Program{{Name: testProgram, SHA256: "abc", Description: "d", Checkpoint: true}}
	if err := b.ledger.Nodes.Beat(context.Background(), testInstance, list, 2, nil); err != nil {
		b.t.Fatal(err)
	}
}

// saved records checkpoints of the first attempt of a job: one that is good, and one that is not.
func (b *bench) saved(id string) {
	b.t.Helper()
	ctx, c := context.Background(), b.ledger.Checkpoints
	var last checkpoints.Checkpoint
	for range 2 {
		n, ok, err := c.Begin(ctx, id, 1)
		if err == nil && ok {
			last = checkpoints.Checkpoint{Job: id, Number: n, Attempt: 1, SHA256: strings.Repeat("ab", 32), Size: 2048}
			ok, err = c.Record(ctx, last)
		}
		if err == nil && ok && n == 1 {
			err = c.Tried(ctx, last, 2, "")
		}
		if err != nil || !ok {
			b.t.Fatalf("%t, %v", ok, err)
		}
	}
	if err := c.Tried(ctx, last, 3, `its <SHA-256> is "another"`); err != nil {
		b.t.Fatal(err)
	}
}

// TestCheckpoints reads the checkpoints of a job and asks for one, by the API and on its page.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	id := b.inState(jobs.Running)
	page := func() string {
		body, _ := io.ReadAll(b.ask("GET", "/jobs/"+id, "").Body)
		return string(body)
	}
	if text := page(); strings.Contains(text, `value="checkpoint"`) || strings.Contains(text, "<h2>Checkpoints") {
		t.Error("the page offers a checkpoint of a program that saves none")
	}
	b.able()
	b.saved(id)
	for range 2 { // the second request changes nothing
		if r := b.ask("POST", "/api/v1/jobs/"+id+"/checkpoint", ""); spoken(t, r) != "running: is asked for a checkpoint" {
			t.Errorf("%d", r.StatusCode)
		}
	}
	d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+id))
	for i := range d.Checkpoints {
		if d.Checkpoints[i].At.IsZero() {
			t.Error("without a time")
		}
		d.Checkpoints[i].At = jobs.Result{}.Created
	}
	want := []api.Checkpoint{
		{Number: 2, Attempt: 1, Bytes: 2048, SHA256: strings.Repeat("ab", 32), Broken: `its <SHA-256> is "another"`},
		{Number: 1, Attempt: 1, Bytes: 2048, SHA256: strings.Repeat("ab", 32), Restored: 2},
	}
	if diff := cmp.Diff(want, d.Checkpoints); diff != "" || d.CheckpointAsked == nil || d.Allowed[len(d.Allowed)-1] != "checkpoint" {
		t.Errorf("%v, asked %v, allowed %v", diff, d.CheckpointAsked, d.Allowed)
	}
	text := page()
	for _, want := range []string{`value="checkpoint"`, "The program is asked for one since ", "attempt 2 has begun from it", "its &lt;SHA-256&gt; is &#34;another&#34;", "2.0 KiB"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}
