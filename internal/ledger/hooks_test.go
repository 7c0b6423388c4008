package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/jobs"
)

const hookURL = "https://web.example/told"

func hooked(j *jobs.Job) { j.Webhook = hookURL }

func (d *fixture) due(lease time.Duration) []outbox.Hook {
	d.t.Helper()
	list, err := d.Outbox.Due(d.t.Context(), "i1", 0, lease)
	d.must(err)
	return list
}

// However a job ends, its webhook is staged, at each end anew.
func TestEveryEndIsToldToItsWebhook(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end   func(d *fixture) string
		state jobs.State
		class jobs.Outcome
	}{
		"succeeded": {func(d *fixture) string {
			id := d.add(hooked)
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			return id
		}, jobs.Succeeded, jobs.OutcomeSucceeded},
		"failed after another attempt": {func(d *fixture) string {
			id := d.add(hooked)
			d.end(id, d.run(id), jobs.Queued, jobs.OutcomeError)
			d.end(id, d.run(id), jobs.Failed, jobs.OutcomeTimeout)
			return id
		}, jobs.Failed, jobs.OutcomeTimeout},
		"cancelled": {func(d *fixture) string {
			id := d.add(hooked)
			_, err := d.act(VerbCancel, id)
			d.must(err)
			return id
		}, jobs.Cancelled, jobs.OutcomeCancelled},
		"expired": {func(d *fixture) string {
			id := d.add(func(j *jobs.Job) { hooked(j); j.Expires = d.clock.now().Add(time.Second) })
			d.clock.advance(time.Minute)
			_, err := d.Expire(t.Context(), 0)
			d.must(err)
			return id
		}, jobs.Failed, jobs.ClassExpired},
		"needs": {func(d *fixture) string {
			need := d.add(nil)
			id := d.add(func(j *jobs.Job) { hooked(j); j.Needs = []string{need} })
			d.end(need, d.run(need), jobs.Failed, jobs.OutcomeFailed)
			return id
		}, jobs.Failed, jobs.ClassNeeds},
		"fault": {func(d *fixture) string {
			e := entry(hooked)
			e.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
			d.put(e)
			return e.Job.ID
		}, jobs.Failed, jobs.ClassDocument},
		"lost too often": {func(d *fixture) string {
			id := d.add(hooked)
			for range QuarantineAfter + QuarantineLimit {
				d.run(id)
				d.clock.advance(time.Hour)
				_, err := d.Recover(t.Context(), 0)
				d.must(err)
			}
			return id
		}, jobs.Failed, jobs.OutcomeLost},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			id := c.end(d)
			list := d.due(time.Minute)
			want := []outbox.Hook{{URL: hookURL, Job: id, State: c.state, Class: c.class, Ended: d.record(id).Finished, Attempt: d.record(id).Attempt}}
			if diff := cmp.Diff(want, list, cmpopts.IgnoreFields(outbox.Hook{}, "ID", "Program")); diff != "" {
				t.Fatal(diff)
			}
			if c.state == jobs.Succeeded || c.class == jobs.ClassDocument {
				return
			}
			d.must(d.Outbox.Done(t.Context(), list[0]))
			if _, err := d.act(VerbRetry, id); err != nil {
				return // of a job whose need has failed
			}
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			if again := d.due(time.Minute); len(again) != 1 || again[0].State != jobs.Succeeded || again[0].ID == list[0].ID {
				t.Errorf("after a retry: %+v", again)
			}
		})
	}
}

func TestHookIsLeasedTriedAgainAndGivenUp(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.sendTo("https://ops.example/all", "")
	id := d.add(hooked)
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	list := d.due(time.Minute)
	if len(list) != 2 || list[0].URL == list[1].URL {
		t.Fatalf("%+v: want the job's and the node's", list)
	}
	if again := d.due(time.Minute); again != nil {
		t.Errorf("leased hooks were given out again: %+v", again)
	}
	d.must(d.Outbox.Done(t.Context(), list[0]))
	d.clock.advance(time.Minute)
	if again := d.due(time.Minute); len(again) != 1 || again[0].ID != list[1].ID {
		t.Fatalf("after the lease: %+v", again)
	}
	d.must(d.Outbox.Failed(t.Context(), list[1], d.clock.now().Add(time.Hour), "503", false))
	if again := d.due(time.Minute); again != nil {
		t.Errorf("before its time: %+v", again)
	}
	d.clock.advance(time.Hour)
	again := d.due(time.Minute)
	if len(again) != 1 || again[0].Tries != 1 || again[0].Message != "503" {
		t.Fatalf("%+v", again)
	}
	// The clock was days ahead when the next try was set.
	d.clock.advance(72 * time.Hour)
	d.must(d.Outbox.Failed(t.Context(), list[1], d.clock.now().Add(time.Hour), "503", false))
	d.clock.advance(-72 * time.Hour)
	if again := d.due(time.Minute); len(again) != 1 {
		t.Errorf("it waits for a clock that was wrong: %+v", again)
	}
	d.must(d.Outbox.Failed(t.Context(), list[1], time.Time{}, "gone", true))
	d.must(d.Outbox.Failed(t.Context(), list[1], time.Time{}, "gone", true))
	d.clock.advance(48 * time.Hour)
	if again := d.due(time.Minute); again != nil {
		t.Errorf("%+v", again)
	}
	log := d.logPages(eventlog.Filter{Kind: eventlog.KindHookGivenUp})
	if len(log) != 1 || log[0].Job != id || log[0].Message != "a webhook was not told of the end: gone" {
		t.Errorf("%+v", log)
	}
}

func TestHooksThatNobodyDeliversArePruned(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(hooked)
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.clock.advance(7*24*time.Hour + time.Hour)
	d.must(d.Rollup(t.Context()))
	if list := d.due(time.Minute); list != nil {
		t.Errorf("%+v", list)
	}
}

// TestPendingDeliveryIsNotPruned checks that a delivery stays until it is given up with
// an event.
func TestPendingDeliveryIsNotPruned(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	id := d.add(func(j *jobs.Job) { at(farBase)(j); hooked(j) })
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.clock.advance(7*24*time.Hour + time.Hour)
	d.must(d.Rollup(t.Context()))
	if list := d.due(time.Minute); len(list) != 1 || list[0].Kind != outbox.KindDelivery {
		t.Errorf("%+v", list)
	}
}

func TestReplays(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	answer := outbox.Replayed{Digest: []byte{1}, Status: 201, Body: []byte(`{"id":"x"}`)}
	if _, found, err := d.Replays.Replay(t.Context(), "k"); found || err != nil {
		t.Error(found, err)
	}
	d.must(d.Replays.Remember(t.Context(), "k", answer))
	d.must(d.Replays.Remember(t.Context(), "k", outbox.Replayed{Digest: []byte{1}, Status: 200}))
	if err := d.Replays.Remember(t.Context(), "k", outbox.Replayed{Digest: []byte{2}}); !errors.Is(err, outbox.ErrConflict) {
		t.Errorf("another request under the same key: %v", err)
	}
	if err := d.Replays.Remember(t.Context(), "big", outbox.Replayed{Body: make([]byte, 32<<10+1)}); !errors.Is(err, engine.ErrTooBig) {
		t.Error(err)
	}
	got, found, err := d.Replays.Replay(t.Context(), "k")
	d.must(err)
	if diff := cmp.Diff(answer, got); diff != "" || !found {
		t.Error(found, diff)
	}
	d.clock.advance(outbox.KeepReplays + time.Second)
	if _, found, err := d.Replays.Replay(t.Context(), "k"); found || err != nil {
		t.Error("an answer is kept for too long", err)
	}
	d.must(d.Replays.Remember(t.Context(), "k", outbox.Replayed{Digest: []byte{2}}))
	d.clock.advance(outbox.KeepReplays + time.Hour)
	d.must(d.Rollup(t.Context()))
	d.wantRows("replays", 0)
}

func (d *fixture) wantRows(table string, want int) {
	d.t.Helper()
	n := 0
	d.must(sqlDB(d.Ledger).QueryRow("SELECT COUNT(*) FROM " + table).Scan(&n))
	if n != want {
		d.t.Errorf("%d rows in %s, want %d", n, table, want)
	}
}

var qAnswer = engine.NewQuery("INSERT INTO replays (key, at, digest, status, body) VALUES (?, ?, ?, ?, ?)")

func TestReplaysAreBounded(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.must(d.do(t.Context(), &op{run: func(tx *txn) error {
		for i := range 50_000 + 100 {
			if _, err := tx.Exec(qAnswer, fmt.Sprint(i), engine.Micros(tx.now)+int64(i), []byte{}, 200, bytes.Repeat([]byte("x"), 10)); err != nil {
				return err
			}
		}
		return nil
	}}))
	d.must(d.Rollup(t.Context()))
	d.wantRows("replays", 50_000)
}

// sendTo sets Config.Webhook and BaseURL of an open ledger.
func (d *fixture) sendTo(webhook, base string) {
	d.Ledger.Outbox = outbox.New(d.access(), outbox.Config{Webhook: webhook, BaseURL: base})
	d.must(d.do(context.Background(), &op{run: func(tx *txn) error {
		tx.outbox = d.Ledger.Outbox
		return nil
	}}))
}
