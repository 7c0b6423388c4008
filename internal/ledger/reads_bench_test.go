package ledger_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/ledgertest"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/move"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
	"github.com/runnerbean/runnerbean/jobs"
)

// sizesEnv is the sizes of the ledgers of BenchmarkReads, such as "1000,1000000".
// Default 1,000 jobs.
const sizesEnv = "LEDGER_BENCH_JOBS"

// BenchmarkReads measures the reads of pages, on ledgers with a mixture of states, with
// all jobs queued and with all ended.
func BenchmarkReads(b *testing.B) {
	for size := range strings.SplitSeq(os.Getenv(sizesEnv), ",") {
		n, err := strconv.Atoi(size)
		if err != nil {
			n = 1000
		}
		for name, fill := range map[string]func(context.Context, string, int) error{
			"mixed": ledgertest.Fill, "queued": ledgertest.FillQueue, "ended": ledgertest.FillEnded,
		} {
			b.Run(fmt.Sprintf("%s-%d", name, n), func(b *testing.B) { benchReads(b, n, fill) })
		}
	}
}

func benchReads(b *testing.B, n int, fill func(context.Context, string, int) error) {
	path := filepath.Join(b.TempDir(), "ledger.db")
	if err := fill(b.Context(), path, n); err != nil {
		b.Fatal(err)
	}
	l, err := ledger.Open(b.Context(), ledger.Config{DSN: moved(b, path)})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	for _, c := range readCases(b, l) {
		b.Run(c.name, func(b *testing.B) { benchRead(b, c.read) })
	}
}

// moved returns the name of a ledger, which it moves to a private PostgreSQL if the tests of
// the package run there.
func moved(b *testing.B, path string) string {
	b.Helper()
	if os.Getenv("LEDGER_TEST_POSTGRES") == "" {
		return "sqlite:" + path
	}
	s, err := postgrestest.Start()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Stop)
	url, err := s.NewSchema()
	if err != nil {
		b.Fatal(err)
	}
	if _, err := move.Move(b.Context(), path, url, move.Observer{Waiting: func(string) {}, Begin: func(int) {}, Copied: func(int) {}}); err != nil {
		b.Fatal(err)
	}
	return url
}

// benchRead reports the median and the 99th percentile of single calls.
func benchRead(b *testing.B, read func() error) {
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if err := read(); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}

type readCase struct {
	name string
	read func() error
}

// readCases returns lists by one and two fields, and the other reads.
func readCases(b *testing.B, l *ledger.Ledger) (list []readCase) {
	ctx := b.Context()
	now := time.Now()
	add := func(name string, read func() error) { list = append(list, readCase{name, read}) }
	for name, f := range listFilters(now) {
		add("list-"+name, func() error { _, err := l.List(ctx, f); return err })
	}
	add("counts", func() error { _, err := l.Activity.Counts(ctx); return err })
	add("backlog", func() error { _, err := l.Backlog(ctx); return err })
	for _, hours := range []int{1, 6, 24, 168, 720} {
		from := now.Add(-time.Duration(hours) * time.Hour)
		add(fmt.Sprintf("activity-%dh", hours), func() error { _, err := l.Activity.History(ctx, from, now, ""); return err })
	}
	add("durations", func() error { _, _, err := l.Activity.Durations(ctx, "program0", now.AddDate(0, 0, -30)); return err })
	add("nodes", func() error { _, err := l.Nodes.List(ctx); return err })
	for name, f := range map[string]eventlog.Filter{
		"all": {}, "kind": {Kind: "failed"}, "node": {Node: "node1"}, "human": {Human: new(true)}, "machine": {Human: new(false)},
		"since": {Since: now.Add(-20 * time.Minute)}, "text": {Text: "nowhere"}, "kind+node": {Kind: "cancelled", Node: "node1"},
	} {
		add("events-"+name, func() error { _, err := l.Events.Search(ctx, f); return err })
	}
	slices.SortFunc(list, func(a, b readCase) int { return strings.Compare(a.name, b.name) })
	return list
}

func listFilters(now time.Time) map[string]listing.Filter {
	parts := [][]struct {
		name string
		set  func(*listing.Filter)
	}{
		{
			{"program", func(f *listing.Filter) { f.Program = "program0" }},
			{"smallprogram", func(f *listing.Filter) { f.Program = "program7" }},
		},
		{{"node", func(f *listing.Filter) { f.Node = "node3" }}},
		{{"label", func(f *listing.Filter) { f.Label = "customer=c1" }}, {"rarelabel", func(f *listing.Filter) { f.Label = "meter=7" }}},
		{{"since", func(f *listing.Filter) { f.Since = now.Add(-20 * time.Minute) }}, {"until", func(f *listing.Filter) { f.Until = now.Add(-10 * time.Minute) }}},
		{{"text", func(f *listing.Filter) { f.Text = "status 1" }}, {"notext", func(f *listing.Filter) { f.Text = "nowhere" }}},
		nil,
	}
	for _, s := range jobs.States {
		parts[5] = append(parts[5], struct {
			name string
			set  func(*listing.Filter)
		}{string(s), func(f *listing.Filter) { f.State = s }})
	}
	m := map[string]listing.Filter{"all": {}}
	for i, first := range parts {
		for _, a := range first {
			var one listing.Filter
			a.set(&one)
			m[a.name] = one
			for _, second := range parts[:i] {
				for _, b := range second {
					two := one
					b.set(&two)
					m[b.name+"+"+a.name] = two
				}
			}
		}
	}
	return m
}
