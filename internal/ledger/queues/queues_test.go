package queues_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/queues"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestHeads checks which programs have due jobs with messages on a server, and of which
// priority.
func TestHeads(t *testing.T) {
	t.Parallel()
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var programs []nodes.Program
	for _, name := range []string{"a", "b", "c", "later"} {
		programs = append(programs, nodes.Program{Name: name})
	}
	if err := l.Nodes.Register(t.Context(), nodes.Node{Name: "n", Instance: "i", Programs: programs}); err != nil {
		t.Fatal(err)
	}
	queued := func(program, server string, priority uint32, notBefore time.Time) string {
		t.Helper()
		j := jobs.Job{ID: jobs.NewID(), Program: program, Priority: &priority, NotBefore: notBefore, Input: jobs.Input{Data: []byte("1")}}
		j.Result.URL = "http://node.example/" + j.ID
		document, err := json.Marshal(j)
		if err != nil {
			t.Fatal(err)
		}
		answers, err := l.Accept(t.Context(), []ledger.Entry{{Job: j, Document: document}})
		if err == nil {
			err = answers[0].Err
		}
		if err == nil {
			err = l.MarkSent(t.Context(), []ledger.Sent{{ID: j.ID, Server: server, Message: 1}})
		}
		if err != nil {
			t.Fatal(err)
		}
		return j.ID
	}
	hour := time.Now().Add(time.Hour)
	urgent := queued("b", "s1", 3, time.Time{})
	for range 3 {
		queued("a", "s1", 9, time.Time{})
		queued("b", "s1", 7, time.Time{})
		queued("c", "s2", 9, time.Time{})
		queued("later", "s1", 9, hour)
	}
	queued("c", "s2", 2, hour)
	for server, want := range map[string][]queues.Head{
		"s1": {{Program: "a", Priority: 9}, {Program: "b", Priority: 3}}, "s2": {{Program: "c", Priority: 2}}, "s3": nil,
	} {
		got, err := l.Queues.Heads(t.Context(), server)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v %s", server, err, diff)
		}
	}
	for server, want := range map[string]time.Time{"s1": hour, "s2": hour, "s3": {}} {
		got, err := l.Queues.NextDue(t.Context(), server, hour.Add(-time.Minute))
		if !got.Equal(want.Truncate(time.Microsecond)) || err != nil {
			t.Errorf("%s: the next job is due at %s, not %s: %v", server, got, want, err)
		}
	}
	if got, err := l.Queues.NextDue(t.Context(), "s1", hour); !got.IsZero() || err != nil {
		t.Errorf("a job is due at %s, after the last one: %v", got, err)
	}
	for priority, want := range map[uint32][]string{9: {"a", "c"}, 7: {"b"}, 3: {"b"}, 4: nil} {
		got, err := l.Queues.Sharing(t.Context(), priority)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("priority %d: %v %s", priority, err, diff)
		}
	}
	if p, known, err := l.Queues.Priority(t.Context(), urgent); p != 3 || !known || err != nil {
		t.Errorf("priority %d, %t, %v", p, known, err)
	}
	if _, known, err := l.Queues.Priority(t.Context(), "unknown"); known || err != nil {
		t.Errorf("an unknown job: %t, %v", known, err)
	}
}
