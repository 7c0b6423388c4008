package publisher

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// filled returns a publisher over a ledger with n jobs.
func filled(b *testing.B, n int) *bench {
	b.Helper()
	path := b.TempDir() + "/filled.db"
	if err := ledgertest.Fill(b.Context(), path, n); err != nil {
		b.Fatal(err)
	}
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return newBench(b, func(c *Config) { c.Ledger = l })
}

// BenchmarkPages requests every page and list of a node with many jobs. It reports the
// 99th percentile of each, and the median, which other work on the machine disturbs
// less. Cold requests find nothing in caches; warm ones come again and again, as from a
// browser. BENCH_JOBS lists the sizes of the ledger, such as 1000,1000000.
func BenchmarkPages(b *testing.B) {
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("BENCH_JOBS"), "1000"), ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(text, func(b *testing.B) {
			s := filled(b, n)
			for _, target := range s.targets() {
				b.Run(strings.ReplaceAll(strings.TrimPrefix(target, "/"), "/", "."), func(b *testing.B) { s.percentile(b, target) })
			}
		})
	}
}

// targets returns the paths of all pages and lists, and some filters.
func (b *bench) targets() []string {
	b.t.Helper()
	page := decodeAs[api.Page](b.t, b.get("/api/v1/jobs?state=failed"))
	if len(page.Jobs) == 0 {
		b.t.Fatal("no job has failed")
	}
	var list []string
	for _, r := range b.p.table() {
		name := "node0"
		if strings.Contains(r.path, "program") {
			name = "program0"
		}
		path := strings.NewReplacer(":id", page.Jobs[0].ID, ":name", name).Replace(r.path)
		if r.method == http.MethodGet && r.needs == auth.Viewer && !strings.Contains(path, "*") && path != "/metrics" {
			list = append(list, path)
		}
	}
	for _, q := range []string{"state=queued", "state=failed&program=program1", "node=node1", "label=customer%3Dc1", "text=nothing", "state=succeeded&node=node2&program=program3"} {
		list = append(list, "/jobs?"+q, "/api/v1/jobs?"+q)
	}
	return append(list, "/api/v1/overview?range=30d", "/api/v1/events?by=human", "/"+page.Jobs[0].ID)
}

// percentile requests a path again and again, first cold and then warm.
func (b *bench) percentile(t *testing.B, target string) {
	var cold, warm []time.Duration
	for t.Loop() {
		b.p.forget()
		cold = append(cold, b.took(t, target))
		warm = append(warm, b.took(t, target))
	}
	for name, took := range map[string][]time.Duration{"cold": cold, "warm": warm} {
		slices.Sort(took)
		for _, percent := range []int{50, 99} {
			t.ReportMetric(took[len(took)*percent/100].Seconds()*1e3, fmt.Sprintf("%s-p%d-ms", name, percent))
		}
	}
}

// took returns how long a whole answer takes.
func (b *bench) took(t *testing.B, target string) time.Duration {
	began := time.Now()
	r := b.get(target, "Accept: text/html, application/json;q=0.9")
	_, err := io.Copy(io.Discard, r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", target, r.StatusCode, err)
	}
	return time.Since(began)
}
