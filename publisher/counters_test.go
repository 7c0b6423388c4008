package publisher

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/chunks"
	"github.com/runnerbean/runnerbean/internal/ledger/counters"
	"github.com/runnerbean/runnerbean/jobs"
)

// count reports counters and a chunk of the first attempt of a job, and what its node and
// another one have counted in the last minutes.
func (b *bench) count(id string) {
	b.t.Helper()
	now := time.Now().UTC()
	err := b.ledger.Report(context.Background(), id, 1, ledger.Live{
		Counters: map[string]float64{"records": 1200, "records.bad": 7},
		Chunks:   []chunks.Chunk{{ID: "packages-16", Of: "40", Number: 1, Began: now}, {ID: "packages-17", Of: "40", Number: 2, Began: now}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
	for node, n := range map[string]float64{testNode: 1, "other-node": 2} {
		var list []counters.Sum
		for back := range 90 {
			at := now.Add(-time.Duration(back) * 10 * time.Second)
			list = append(list,
				counters.Sum{Program: testProgram, Name: "records", At: at, N: n * float64(1000+20*(back%7))},
				counters.Sum{Program: testProgram, Name: "records.bad", At: at, N: n * float64(back%3)})
		}
		if err := b.ledger.Counters.Add(context.Background(), node, list); err != nil {
			b.t.Fatal(err)
		}
	}
}

// TestCounters reads what two nodes have counted, the bad ones apart.
func TestCounters(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	id := b.queued("")
	b.running(id)
	b.count(id)
	good, bad := 0.0, 0.0
	for back := range 90 {
		good, bad = good+float64(1000+20*(back%7)), bad+float64(back%3)
	}
	for query, share := range map[string]float64{"program=" + testProgram: 3, "program=" + testProgram + "&node=other-node": 2, "node=" + testNode: 1} {
		got := decodeAs[api.Counters](t, b.get("/api/v1/counters?range=1h&"+query))
		if len(got.Counters) != 1 || got.Window.Name != "1h" || got.Window.Step != 10 {
			t.Fatalf("%s: %+v", query, got)
		}
		c := got.Counters[0]
		if c.Program != testProgram || c.Name != "records" || c.Total != share*good || c.Bad != share*bad {
			t.Errorf("%s: %s %s, %v good and %v bad, want %v and %v", query, c.Program, c.Name, c.Total, c.Bad, share*good, share*bad)
		}
		for _, line := range c.PerSecond {
			of := map[string]float64{testNode: 1, "other-node": 2}[line.Name]
			steps := 0
			for _, p := range line.Points {
				switch {
				case p == nil || *p == 0:
				case *p < of*100 || *p > of*112:
					t.Errorf("%s: %v per second on %s", query, *p, line.Name)
				default:
					steps++
				}
			}
			if steps < 85 || steps > 90 || line.Points[len(line.Points)-1] != nil {
				t.Errorf("%s: %d steps on %s", query, steps, line.Name)
			}
		}
		if want := map[float64]int{3: 2, 2: 1, 1: 1}[share]; len(c.PerSecond) != want || len(c.BadPerSecond) != want {
			t.Errorf("%s: %d and %d lines, want %d", query, len(c.PerSecond), len(c.BadPerSecond), want)
		}
	}
	if got := decodeAs[api.Counters](t, b.get("/api/v1/counters?program=nothing")); len(got.Counters) != 0 || got.Counters == nil {
		t.Errorf("%+v", got)
	}
}

// TestCountersOfAJob has two attempts work on the same chunk.
func TestCountersOfAJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.register(2)
	id := b.queued("")
	b.running(id)
	b.count(id)
	b.finish(id, 1, ledger.Ending{Outcome: jobs.OutcomeError, State: jobs.Queued, ExitCode: 1})
	b.running(id)
	now := time.Now().UTC().Truncate(time.Microsecond)
	err := b.ledger.Report(t.Context(), id, 2, ledger.Live{
		Counters: map[string]float64{"records": 3}, Chunks: []chunks.Chunk{{ID: "packages-17", Of: "40", Number: 1, Began: now}},
	})
	if err != nil {
		t.Fatal(err)
	}
	d := decodeAs[api.Details](t, b.get("/api/v1/jobs/"+id))
	if diff := cmp.Diff(&jobs.Chunk{ID: "packages-17", Of: "40"}, d.Status.Chunk); diff != "" {
		t.Error(diff)
	}
	if len(d.Chunks) != 2 || !cmp.Equal(d.Chunks[0], api.Chunk{ID: "packages-17", Of: "40", Attempts: []int{1, 2}, Began: now}) || !cmp.Equal(d.Chunks[1].Attempts, []int{1}) {
		t.Errorf("%+v", d.Chunks)
	}
	if len(d.Attempts) != 2 || d.Attempts[0].Counters["records"] != 1200 || d.Attempts[1].Counters["records"] != 3 {
		t.Errorf("%+v", d.Attempts)
	}
	page := plainWords(bodyOf(t, b.get("/jobs/"+id)))
	for _, words := range []string{"chunk packages-17 of 40", "packages-17401, 2", "packages-16401", "records 1,200, records.bad 7"} {
		if !strings.Contains(page, words) {
			t.Errorf("the page lacks %q: %s", words, page)
		}
	}
}

// TestCountersInTheBrowser looks at the pages of a program, a node and a job.
func TestCountersInTheBrowser(t *testing.T) {
	b := newBench(t)
	url := b.pool()
	id := b.queued("")
	b.running(id)
	b.count(id)
	chromium := browsertest.Start(t)
	for _, page := range []struct {
		path, name string
		plots      int
		holds      []string
	}{
		{"/programs/" + testProgram + "?range=15m", "program-counted", 2, []string{"records per second, bad", "other-node"}},
		{"/nodes/" + testNode + "?range=15m", "node-counted", 2, []string{"Bad per second", "chunk packages-17 of 40", testProgram + " records"}},
		{"/jobs/" + id, "job-chunks", 0, []string{"chunk packages-17 of 40", "packages-16"}},
	} {
		t.Run(page.name, func(t *testing.T) {
			tab := browsertest.NewTab(t, chromium)
			b.beat(testInstance, 4, api.Vitals{At: time.Now(), CPUs: 1})
			tab.Open(url + page.path)
			text := browsertest.Evaluate[string](tab, "document.querySelector('main').textContent")
			for _, words := range page.holds {
				if !strings.Contains(text, words) {
					t.Errorf("the page lacks %q:\n%s", words, text)
				}
			}
			if n := browsertest.Evaluate[int](tab, "document.querySelectorAll('#counted svg.plot').length"); n != page.plots {
				t.Errorf("%d plots, want %d", n, page.plots)
			}
			tab.CheckAccess(page.name)
			tab.Shoot(page.name)
			tab.CheckKeyboard(page.name)
			tab.CheckComplaints()
		})
	}
}
