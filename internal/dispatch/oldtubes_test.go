package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// Of the tubes that nodes of all ledgers once read, every message of a job that
// is known goes, whatever its state; all others stay for who knows them.
func TestOldTubesAreEmptied(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const old = "runnerbean/run/cat"
	hint := func(id string) string { return fmt.Sprintf(`{"id":%q,"program":"cat"}`, id) }
	put := func(body string, delay time.Duration) {
		t.Helper()
		_, err := f.producer.Put(t.Context(), queue.Message{Tube: old, Body: []byte(body), Priority: 7, Delay: delay, TTR: time.Minute})
		must(t, err)
	}
	ours := f.queued(t, jobs.NewID())
	for range 3 {
		put(hint(ours.ID), 0)
		put(hint(jobs.NewID()), 0)
		put(hint(ours.ID), time.Hour)
	}
	put("no hint", 0)
	d, err := f.consumer(t).Reserve(t.Context(), []string{old})
	must(t, err)
	must(t, d.Bury(t.Context(), 7))
	f.put(t, "runnerbean/run/stranger/cat", hint(ours.ID)) // a tube of another ledger

	f.surveyed(t)
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, old)
	must(t, err)
	if stats["current-jobs-ready"] != "4" || stats["total-jobs"] != "10" || stats["current-jobs-urgent"] != "4" {
		t.Errorf("%v", stats)
	}
	for _, tube := range []string{"runnerbean/run/stranger/cat", f.runTube("cat")} {
		if stats, _ := f.producer.TubeStats(t.Context(), f.server.Addr, tube); stats["current-jobs-ready"] != "1" {
			t.Errorf("%s: %v", tube, stats)
		}
	}
}

// A tube with nothing of ours is left alone for a while.
func TestOldTubesOfStrangersAreLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := oldTubes{Dispatcher: f.Dispatcher}
	f.put(t, "runnerbean/run/cat", `{"id":"x"}`)
	reserves := func() string {
		for range 2 {
			tubes, err := f.producer.Tubes(t.Context(), f.server.Addr)
			must(t, err)
			o.empty(t.Context(), f.server.Addr, tubes)
		}
		servers, err := f.producer.Servers(t.Context())
		must(t, err)
		return servers[0].Stats["cmd-reserve-with-timeout"]
	}
	if first, second := reserves(), reserves(); first != second {
		t.Errorf("%s reservations, then %s", first, second)
	}
	tubes, err := f.producer.Tubes(t.Context(), f.server.Addr)
	must(t, err)
	o.empty(t.Context(), f.server.Addr, nil)
	if len(o.known) > 0 {
		t.Errorf("%v are remembered, of %v", o.known, tubes)
	}
}
