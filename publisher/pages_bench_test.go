package publisher

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// filled is a publisher over a ledger with many ended jobs and their results.
type filled struct {
	*bench
	size  string
	words map[string][]string // by their placeholders in targets, one for each round
}

// newFilled fills a ledger with size jobs. Results do not stay in memory.
func newFilled(b *testing.B, size string) *filled {
	b.Helper()
	n, err := strconv.Atoi(size)
	if err != nil {
		b.Fatal(err)
	}
	path := b.TempDir() + "/filled.db"
	if err := ledgertest.FillResults(b.Context(), path, n); err != nil {
		b.Fatal(err)
	}
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	f := &filled{bench: newBench(b, func(c *Config) { c.Ledger, c.CacheBytes = l, 1 }), size: size}
	f.words = map[string][]string{
		":succeeded": f.sample(jobs.Succeeded), ":failed": f.sample(jobs.Failed),
		":middle": {url.QueryEscape(time.Now().Add(-ledgertest.Span / 2).Format(time.RFC3339))},
	}
	return f
}

// sample returns the ids of jobs in a state, from all times.
func (f *filled) sample(state jobs.State) (ids []string) {
	const n = 100
	now := time.Now()
	for i := range n {
		until := now.Add(-ledgertest.Span * time.Duration(i) / (n + 20)).Format(time.RFC3339)
		page := decodeAs[api.Page](f.t, f.get("/api/v1/jobs?limit=1&state="+string(state)+"&until="+url.QueryEscape(until)))
		if len(page.Jobs) == 0 {
			f.t.Fatalf("no job until %s is %s", until, state)
		}
		ids = append(ids, page.Jobs[0].ID)
	}
	return ids
}

// BenchmarkPages requests every page and list of nodes with many ended jobs, whose
// results of 10 KiB are in the ledger. It reports the 99th percentile of each, the median,
// and the 10th percentile, which other work on the machine disturbs least. Cold requests find nothing in
// caches; warm ones come again and again, as from a browser. BENCH_JOBS lists the sizes
// of the ledgers, such as 1000,1000000. They take turns, so that other work disturbs them
// alike; the last p50 is also reported as a multiple of the first.
func BenchmarkPages(b *testing.B) {
	var list []*filled
	for size := range strings.SplitSeq(cmp.Or(os.Getenv("BENCH_JOBS"), "1000"), ",") {
		list = append(list, newFilled(b, size))
	}
	for _, target := range list[0].targets() {
		b.Run(strings.ReplaceAll(strings.TrimPrefix(target, "/"), "/", "."), func(b *testing.B) { benchTarget(b, list, target) })
	}
}

// targets returns the paths of all pages and lists, and some filters, with placeholders
// for ids and times.
func (f *filled) targets() (list []string) {
	for _, r := range f.p.table() {
		name := "node0"
		if strings.Contains(r.path, "program") {
			name = "program0"
		}
		path := strings.NewReplacer(":id", ":failed", ":name", name).Replace(r.path)
		if path == "/api/v1/counters" {
			path += "?program=program0"
		}
		if r.method == http.MethodGet && r.needs == auth.Viewer && !strings.Contains(path, "*") && path != "/metrics" {
			list = append(list, path)
		}
	}
	for _, q := range []string{
		"state=succeeded", "state=failed", "state=failed&program=program0", "program=program0", "node=node1",
		"label=customer%3Dc1", "until=:middle", "state=failed&since=:middle", "text=nothing",
		"state=succeeded&node=node4&program=program0", "state=succeeded&node=node2&program=program3", // the last has none
	} {
		list = append(list, "/jobs?"+q, "/api/v1/jobs?"+q)
	}
	return append(list, "/api/v1/overview?range=30d", "/api/v1/events?by=human",
		"/jobs/:succeeded", "/api/v1/jobs/:succeeded", "/:failed", "/:succeeded")
}

// times are how long requests took.
type times []time.Duration

// at returns a percentile in milliseconds.
func (t times) at(percent int) float64 {
	slices.Sort(t)
	return t[len(t)*percent/100].Seconds() * 1e3
}

// benchTarget requests a path again and again, first cold and then warm.
func benchTarget(t *testing.B, list []*filled, target string) {
	cold, warm := make([]times, len(list)), make([]times, len(list))
	for round := 0; t.Loop(); round++ {
		for i, f := range list {
			path := f.path(target, round)
			f.p.forget()
			cold[i] = append(cold[i], f.took(t, path))
			warm[i] = append(warm[i], f.took(t, path))
		}
	}
	for name, took := range map[string][]times{"cold": cold, "warm": warm} {
		for i, f := range list {
			for _, percent := range []int{10, 50, 99} {
				t.ReportMetric(took[i].at(percent), fmt.Sprintf("%s-%s-p%d-ms", f.size, name, percent))
			}
		}
		t.ReportMetric(took[len(list)-1].at(50)/took[0].at(50), name+"-times")
	}
	for _, f := range list {
		if rows := f.rows(target); rows >= 0 {
			t.ReportMetric(float64(rows), f.size+"-rows")
		}
	}
}

// path returns the path of a target in a round.
func (f *filled) path(target string, round int) string {
	for placeholder, words := range f.words {
		target = strings.ReplaceAll(target, placeholder, words[round%len(words)])
	}
	return target
}

// rows returns the length of a list of the API, and -1 for other targets.
func (f *filled) rows(target string) int {
	path := f.path(target, 0)
	switch route, _, _ := strings.Cut(path, "?"); route {
	case "/api/v1/jobs":
		return len(decodeAs[api.Page](f.t, f.get(path)).Jobs)
	case "/api/v1/events":
		return len(decodeAs[api.EventPage](f.t, f.get(path)).Events)
	}
	return -1
}

// took returns how long a whole answer takes.
func (f *filled) took(t *testing.B, path string) time.Duration {
	began := time.Now()
	r := f.get(path, "Accept: text/html, application/json;q=0.9")
	_, err := io.Copy(io.Discard, r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", path, r.StatusCode, err)
	}
	return time.Since(began)
}
