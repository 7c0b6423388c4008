package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestMostUrgentDueJobStartsFirst checks the order of due jobs with the same, with
// different and without not_before.
func TestMostUrgentDueJobStartsFirst(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.env = append(p.env, "RUNNERBEAN_SLOTS=1")
	order := filepath.Join(t.TempDir(), "order")
	for _, name := range []string{"first", "second"} {
		p.install(name, "cat >>"+order+"; echo >>"+order+"; echo 1")
	}
	p.start("worker")
	p.must("drain", "n1")
	due := time.Now().Add(2 * time.Second).UTC()
	var want []string
	for i, priority := range []int{4000, 17, 900, 0, 2000, 16, 3000, 1, 800, 50, 1000, 40} {
		start := []time.Time{due, due.Add(-time.Hour), due.Add(-300 * time.Millisecond), {}}[i%4]
		notBefore := ""
		if !start.IsZero() {
			notBefore = `"not_before":"` + start.Format(time.RFC3339Nano) + `",`
		}
		id, program := jobs.NewID(), []string{"first", "second"}[i%2]
		putByHand(t, server.Addr, fmt.Sprintf(`{"id":%q,"program":%q,"priority":%d,%s"input":{"data":%d},"result":{"url":"%s/%s"}}`,
			id, program, priority, notBefore, priority, p.url, id))
		want = append(want, fmt.Sprintf("%05d", priority))
	}
	p.until("all are accepted", func() bool {
		var overview api.Overview
		p.api("/api/v1/overview", &overview)
		return overview.Queue.Queued == int64(len(want)) && time.Now().After(due)
	})
	p.must("drain", "n1", "--off")
	var got []string
	p.until("all have started", func() bool {
		data, _ := os.ReadFile(order)
		got = strings.Fields(string(data))
		return len(got) == len(want)
	})
	slices.Sort(want)
	for i := range got {
		got[i] = fmt.Sprintf("%05s", got[i])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
