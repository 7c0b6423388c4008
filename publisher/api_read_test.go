package publisher

import (
	"context"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestOverview(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) {
		c.Servers = func(context.Context) []api.Server { return []api.Server{{Addr: "127.0.0.1:11300", OK: true}} }
	})
	b.register(2)
	b.failed()
	for _, progress := range []float64{0.1, 0.9, 0.5} {
		id := b.queued("")
		b.running(id)
		b.report(id, progress)
	}
	silent := b.queued("")
	b.running(silent)
	b.queued("")
	// The overview counts milliseconds, and estimates nothing of jobs that start later than now.
	for begun := time.Now().Truncate(time.Millisecond); !time.Now().Truncate(time.Millisecond).After(begun); {
		runtime.Gosched()
	}
	r := b.get("/api/v1/overview?range=24h")
	o := decodeAs[api.Overview](t, r)
	if r.StatusCode != 200 || o.Window.Name != "24h" || o.Node != testNode || o.Slots != 2 || o.Busy != 4 || len(o.Nodes) != 1 || len(o.Servers) != 1 {
		t.Errorf("%d %+v", r.StatusCode, o)
	}
	if o.Counts[jobs.Running] != 4 || o.Counts[jobs.Failed] != 1 || o.Queue.Queued != 1 || len(o.Events) == 0 || o.Verdict.Text == "" {
		t.Errorf("%+v", o)
	}
	var order []float64
	for _, r := range o.Running[:3] {
		order = append(order, *r.Progress)
	}
	if !slices.Equal(order, []float64{0.9, 0.5, 0.1}) || o.Running[3].ID != silent {
		t.Errorf("the running jobs come as %v", order)
	}
	if again := decodeAs[api.Overview](t, b.get("/api/v1/overview?range=24h")); !again.At.Equal(o.At) {
		t.Error("it was read twice in a second")
	}
}

func TestNodeByName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	odd := "n/1 %41\u202e"
	if err := b.ledger.Nodes.Register(t.Context(), nodes.Node{Name: odd, Instance: "i2", Slots: 3}); err != nil {
		t.Fatal(err)
	}
	r := b.get("/api/v1/nodes/" + url.PathEscape(odd))
	tag := r.Header.Get("ETag")
	if n := decodeAs[api.Node](t, r); r.StatusCode != 200 || n.Name != odd || n.Slots != 3 || tag == "" {
		t.Errorf("%d %+v", r.StatusCode, n)
	}
	if r := b.get("/api/v1/nodes/"+url.PathEscape(odd), "If-None-Match: "+tag); r.StatusCode != http.StatusNotModified {
		t.Errorf("with its tag: %d", r.StatusCode)
	}
	for path, status := range map[string]int{"/nodes/nobody": 404, "/nodes/%ff": 404, "/nodes/x%00": 404, "/nodes/nobody?range=1h": 400, "/programs/nothing": 404, "/programs/..%2f": 404, "/overview?range=2h": 400, "/overview?range=": 400, "/overview?range=1h&range=1h": 400} {
		r := b.get("/api/v1" + path)
		if p := decodeAs[jobs.Problem](t, r); r.StatusCode != status || p.Status != status || p.Detail == "" {
			t.Errorf("%s: %d %+v, want %d", path, r.StatusCode, p, status)
		}
	}
}

func TestJobsHaveTags(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	ask := func(tag string) (int, string) {
		t.Helper()
		r := b.get("/api/v1/jobs/"+id, "If-None-Match: "+tag)
		return r.StatusCode, r.Header.Get("ETag")
	}
	_, queued := ask("")
	if status, tag := ask(queued); status != 304 || tag != queued {
		t.Errorf("nothing has happened: %d %s, before %s", status, tag, queued)
	}
	b.running(id)
	status, running := ask(queued)
	if status != 200 || running == queued {
		t.Errorf("it runs now: %d", status)
	}
	b.report(id, 0.5)
	status, progress := ask(running)
	if status != 200 || progress == running {
		t.Errorf("it has got on: %d", status)
	}
	if a, _, _ := strings.Cut(running, "-"); !strings.HasPrefix(progress, a+"-") {
		t.Errorf("progress counts as a change of state: %s, then %s", running, progress)
	}
}
