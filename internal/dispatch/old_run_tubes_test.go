package dispatch

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestOldTubesAreEmptied checks that every message of a job of this ledger is deleted,
// ready, delayed or buried. All other messages stay.
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
	f.put(t, "runnerbean/run/other/cat", hint(ours.ID)) // a tube of another ledger

	f.emptyOldTubes(t)
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, old)
	must(t, err)
	if stats["current-jobs-ready"] != "4" || stats["total-jobs"] != "10" || stats["current-jobs-urgent"] != "4" {
		t.Errorf("%v", stats)
	}
	for _, tube := range []string{"runnerbean/run/other/cat", f.sender.tubes.run("cat")} {
		if stats, _ := f.producer.TubeStats(t.Context(), f.server.Addr, tube); stats["current-jobs-ready"] != "1" {
			t.Errorf("%s: %v", tube, stats)
		}
	}
}

// TestOldTubesHoldUpNothing checks that more messages than one batch do not delay the
// reconciler. Between two looks it puts messages for jobs that have none.
func TestOldTubesHoldUpNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.acceptRound(t)
	page, err := f.ledger.List(t.Context(), listing.Filter{Limit: 1})
	must(t, err)
	const more = 10
	messages := make([]queue.Message, oldBatch+more)
	for i := range messages {
		messages[i] = queue.Message{
			Tube: []string{"runnerbean/run/cat", "runnerbean/run/forecast"}[i%2], TTR: time.Minute,
			Body: fmt.Appendf(nil, `{"id":%q}`, page.Jobs[0].ID),
		}
	}
	_, err = f.producer.PutAll(t.Context(), messages)
	must(t, err)
	left := func() (n int64) {
		for _, tube := range []string{"runnerbean/run/cat", "runnerbean/run/forecast"} {
			stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, tube)
			must(t, err)
			n += integer(stats["current-jobs-ready"])
		}
		return n
	}
	f.reconciler.once(t.Context())
	if n := left(); n != more {
		t.Errorf("%d old messages are left after one look", n)
	}
	if n := f.messages(t); n != strconv.Itoa(maxRound) {
		t.Errorf("%s messages were put in the same round", n)
	}
	f.emptyOldTubes(t)
	if n := left(); n != 0 {
		t.Errorf("%d old messages are left after two looks", n)
	}
}

// TestOldTubesOfOtherLedgersAreLeftAlone checks that a tube without our messages is not
// read again for a while.
func TestOldTubesOfOtherLedgersAreLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	o := f.reconciler.oldTubes
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

// emptyOldTubes makes one look, as if it were the first.
func (f *fixture) emptyOldTubes(t *testing.T) {
	t.Helper()
	o := *f.reconciler.oldTubes
	o.known = nil
	tubes, err := f.producer.Tubes(t.Context(), f.server.Addr)
	must(t, err)
	o.empty(t.Context(), f.server.Addr, tubes)
}
