package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/loops"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

// each10m makes a job repeat.
func each10m(j *jobs.Job) { j.Repeat = jobs.Duration(10 * time.Minute) }

// runID returns the id of a run of a loop.
func runID(loop string, n int) string { return jobs.DerivedID(loop, fmt.Sprint("run/", n)) }

// succeed runs a job and returns the next one of its loop, or "".
func (d *fixture) succeed(id string) string {
	d.t.Helper()
	next := d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	if len(next) > 1 {
		d.t.Fatalf("%d jobs follow", len(next))
	}
	if len(next) == 0 {
		return ""
	}
	return next[0].ID
}

// nextDue runs a job and advances the clock until the next one of its loop is due.
func (d *fixture) nextDue(id string) string {
	d.t.Helper()
	next := d.succeed(id)
	if next == "" {
		d.t.Fatal("no job follows")
	}
	d.advance(10 * time.Minute)
	return next
}

func (d *fixture) advance(span time.Duration) { d.clock.advance(span) }

// loop returns the loop of a job.
func (d *fixture) loop(id string) loops.Loop {
	d.t.Helper()
	l, found, err := d.Loops.Find(d.t.Context(), id)
	d.must(err)
	if !found {
		d.t.Errorf("%s has no loop", id)
	}
	return l
}

// wantLoop demands the newest job of a loop, and its newest success.
func (d *fixture) wantLoop(id string, runs int, newest, latest string) {
	d.t.Helper()
	if l := d.loop(id); l.Runs != runs || l.Newest != newest || l.Latest != latest {
		d.t.Errorf("the loop is %+v, want %d runs, newest %s, latest %s", l, runs, newest, latest)
	}
}

// members returns the jobs of a loop by their run, and how many have not ended.
func (d *fixture) members(loop string) (ids []string, live int) {
	d.t.Helper()
	rows, err := sqlDB(d.Ledger).Query("SELECT id, state FROM jobs WHERE loop = '" + loop + "' ORDER BY run")
	d.must(err)
	defer rows.Close()
	for rows.Next() {
		var id string
		var state jobs.State
		d.must(rows.Scan(&id, &state))
		ids = append(ids, id)
		if !state.Final() {
			live++
		}
	}
	d.must(rows.Err())
	return ids, live
}

// Each success makes the next job, which is the same and starts after the span.
func TestLoop(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(func(j *jobs.Job) {
		each10m(j)
		j.Input.Data = json.RawMessage(`{"n": 1.50}`)
		j.Labels = map[string]string{"source": "a"}
		j.Priority, j.Keep, j.Attempts, j.Traceparent = new(uint32(7)), jobs.Keep{Succeeded: jobs.Duration(time.Hour)}, 2, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	})
	e.Submitter = "shop"
	first := d.put(e).Record.ID
	d.wantLoop(first, 1, first, "")
	at := d.clock.now()
	second := d.succeed(first)
	r := d.wantState(second, jobs.Queued)
	if want := at.Add(10 * time.Minute).UTC(); second != runID(first, 2) || !r.NotBefore.Equal(want) || !r.Due.Equal(want) || r.Priority != 7 || r.Labels["source"] != "a" {
		t.Errorf("%+v", r)
	}
	if by, err := d.Submitter(t.Context(), second); err != nil || by != "shop" {
		t.Errorf("submitted by %q, %v", by, err)
	}
	doc, err := jobdoc.Decode(r.Document)
	d.must(err)
	if string(doc.Input.Data) != `{"n":1.50}` && string(doc.Input.Data) != `{"n": 1.50}` || doc.Result.URL != "https://results.example/"+second || doc.Traceparent != "" || doc.Keep != e.Job.Keep ||
		doc.Attempts != 2 || doc.Repeat != e.Job.Repeat || !doc.NotBefore.Equal(r.NotBefore) {
		t.Errorf("%+v", doc)
	}
	d.wantLoop(second, 2, second, first)
	c, err := d.Claim(t.Context(), second, Owner{Instance: "i1", Node: "n1"}, "sum")
	if err != nil || c.OK {
		t.Errorf("claimed too early: %v, %v", c, err)
	}
	d.advance(10 * time.Minute)
	third := d.nextDue(second)
	d.wantLoop(first, 3, third, second)
	p, found, err := d.Loops.Place(t.Context(), second)
	if err != nil || !found || p.Run != 2 || p.Previous != first || p.Next != third {
		t.Errorf("place %+v, %v", p, err)
	}
	if p, _, err = d.Loops.Place(t.Context(), first); err != nil || p.Previous != "" || p.Next != second {
		t.Errorf("place %+v, %v", p, err)
	}
	once := d.add(nil)
	if next := d.succeed(once); next != "" {
		t.Error("a job repeats that does not ask for it")
	}
	if _, found, err := d.Loops.Find(t.Context(), once); found || err != nil {
		t.Errorf("it has a loop: %v", err)
	}
	d.recount()
}

// A job that fails or is cancelled ends the loop until it is retried.
func TestLoopStops(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"cancelled", "cancelled while it runs", "failed"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			first := d.add(each10m)
			second := d.nextDue(first)
			switch how {
			case "cancelled":
				_, err := d.act(VerbCancel, second)
				d.must(err)
			case "failed":
				d.end(second, d.run(second), jobs.Failed, jobs.OutcomeFailed)
			default:
				n := d.run(second)
				_, err := d.act(VerbCancel, second)
				d.must(err)
				d.end(second, n, jobs.Cancelled, jobs.OutcomeCancelled)
			}
			if ids, live := d.members(first); live != 0 || len(ids) != 2 {
				t.Errorf("%v, %d live", ids, live)
			}
			d.wantLoop(second, 2, second, first)
			_, err := d.act(VerbRetry, second)
			d.must(err)
			third := d.succeed(second)
			d.wantLoop(first, 3, third, second)
			if third != runID(first, 3) {
				t.Errorf("after a retry comes %q", third)
			}
		})
	}
}

// A loop that was ended makes no next job, whatever state its jobs are in, and whichever of
// them the person names.
func TestLoopEnds(t *testing.T) {
	t.Parallel()
	for _, state := range []jobs.State{jobs.Waiting, jobs.Queued, jobs.Running, jobs.Failed, jobs.Cancelled} {
		for _, of := range []string{"first", "newest"} {
			t.Run(string(state)+"/"+of, func(t *testing.T) {
				t.Parallel()
				d := newFixture(t)
				var first, newest string
				if state == jobs.Waiting {
					needed := d.add(nil)
					first = d.add(func(j *jobs.Job) { each10m(j); j.Needs = []string{needed} })
					newest = first
				} else {
					first = d.add(each10m)
					newest = d.nextDue(first)
				}
				attempt := 0
				switch state {
				case jobs.Running:
					attempt = d.run(newest)
				case jobs.Failed:
					d.end(newest, d.run(newest), jobs.Failed, jobs.OutcomeFailed)
				case jobs.Cancelled:
					_, err := d.act(VerbCancel, newest)
					d.must(err)
				}
				d.wantState(newest, state)
				id := map[string]string{"first": first, "newest": newest}[of]
				if r, err := d.act(VerbEndLoop, id); err != nil || r.ID != id {
					t.Fatalf("%+v, %v", r, err)
				}
				if l := d.loop(first); l.Ended.IsZero() || l.EndedBy != "Ann" {
					t.Errorf("the loop is %+v", l)
				}
				if !slices.Contains(d.kinds(newest), eventlog.KindLoop) {
					t.Errorf("events %v", d.kinds(newest))
				}
				if state == jobs.Running {
					if r := d.record(newest); r.Asked != VerbCancel {
						t.Errorf("asked for %q", r.Asked)
					}
					d.end(newest, attempt, jobs.Cancelled, jobs.OutcomeCancelled)
				}
				if _, live := d.members(first); live != 0 {
					t.Errorf("%d jobs live", live)
				}
				_, err := d.act(VerbEndLoop, newest) // twice
				d.must(err)
				_, err = d.act(VerbRetry, newest)
				d.must(err)
				if state != jobs.Waiting {
					if next := d.succeed(newest); next != "" {
						t.Errorf("after a retry comes %s", next)
					}
					d.wantLoop(first, 2, newest, newest)
				}
				d.recount()
			})
		}
	}
}

// The end of a loop and a success in the same moment: either comes first.
func TestLoopEndsBesideASuccess(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(each10m)
	n := d.run(first)
	_, err := d.act(VerbEndLoop, first)
	d.must(err)
	if next := d.end(first, n, jobs.Succeeded, jobs.OutcomeSucceeded); len(next) != 0 {
		t.Errorf("the end came first, and %s follows", next[0].ID)
	}
	d.wantState(first, jobs.Succeeded)
	d.wantLoop(first, 1, first, first)

	other := d.add(each10m)
	next := d.succeed(other)
	_, err = d.act(VerbEndLoop, other)
	d.must(err)
	d.wantState(next, jobs.Cancelled)

	// Both at once: whoever wins, no job lives afterwards.
	for range 20 {
		id := d.add(each10m)
		n := d.run(id)
		done := make(chan error, 1)
		go func() {
			_, err := d.Finish(t.Context(), id, n, ending(jobs.Succeeded, jobs.OutcomeSucceeded))
			done <- err
		}()
		_, err := d.act(VerbEndLoop, id)
		d.must(errors.Join(err, <-done))
		if ids, live := d.members(id); live != 0 {
			t.Errorf("%v: %d live", ids, live)
		}
	}
}

// A loop that is ended while the node of its job is away has no live job once that is lost.
func TestLoopEndsWhileItsNodeIsAway(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(each10m)
	second := d.nextDue(first)
	n := d.run(second)
	_, err := d.act(VerbEndLoop, first)
	d.must(err)
	d.advance(time.Minute)
	lost, err := d.Recover(t.Context(), 0)
	d.must(err)
	if len(lost) != 1 || lost[0] != (Recovered{second, jobs.Cancelled}) {
		t.Errorf("lost: %v", lost)
	}
	if _, err := d.Finish(t.Context(), second, n, ending(jobs.Succeeded, jobs.OutcomeSucceeded)); !errors.Is(err, ErrStale) {
		t.Errorf("the node is back: %v", err)
	}
	if ids, live := d.members(first); live != 0 || len(ids) != 2 {
		t.Errorf("%v, %d live", ids, live)
	}
}

// A document that comes again neither begins a second loop nor revives one.
func TestLoopDocumentAgain(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(each10m)
	first := d.put(e).Record.ID
	second := d.nextDue(first)
	for range 2 {
		if a := d.put(e); a.New || a.Err != nil {
			t.Errorf("%+v", a)
		}
		_, err := d.act(VerbEndLoop, second)
		d.must(err)
	}
	if ids, live := d.members(first); len(ids) != 2 || live != 0 {
		t.Errorf("%v, %d live", ids, live)
	}
	_, err := d.act(VerbDelete, first)
	d.must(err)
	if a := d.put(e); !errors.Is(a.Err, retention.ErrDeleted) {
		t.Errorf("%+v", a)
	}
	other := e
	other.Job.Repeat = jobs.Duration(time.Hour)
	another := entry(func(j *jobs.Job) { each10m(j) })
	d.put(another)
	changed := another.Job
	changed.Repeat = jobs.Duration(time.Hour)
	var conflict *Conflict
	if a := d.put(entryOf(changed)); !errors.As(a.Err, &conflict) || conflict.Pointer != "/repeat" {
		t.Errorf("another repeat: %+v", a.Err)
	}
}

// Old jobs of a loop are deleted, and the loop goes on and stays known until its last job is.
func TestLoopOutlivesItsJobs(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(each10m)
	second := d.nextDue(first)
	third := d.nextDue(second)
	for _, id := range []string{first, second} {
		_, err := d.act(VerbDelete, id)
		d.must(err)
	}
	d.wantLoop(first, 3, third, second)
	fourth := d.succeed(third)
	d.wantLoop(first, 4, fourth, third)
	if p, found, err := d.Loops.Place(t.Context(), third); err != nil || !found || p.Previous != "" || p.Next != fourth {
		t.Errorf("%+v, %v", p, err)
	}
	if r, err := d.act(VerbEndLoop, first); err != nil || r.ID != fourth {
		t.Errorf("%+v, %v", r, err)
	}
	d.wantState(fourth, jobs.Cancelled)
	if _, err := d.act(VerbEndLoop, second); !errors.Is(err, retention.ErrDeleted) {
		t.Errorf("of another deleted job: %v", err)
	}
	for _, id := range []string{third, fourth} {
		if l := d.loop(first); l.Ended.IsZero() {
			t.Error("the end is forgotten")
		}
		_, err := d.act(VerbDelete, id)
		d.must(err)
	}
	if l, found, err := d.Loops.Find(t.Context(), first); found || err != nil {
		t.Errorf("the loop is there: %+v, %v", l, err)
	}
	if _, err := d.act(VerbEndLoop, first); !errors.Is(err, retention.ErrDeleted) {
		t.Errorf("of a loop without jobs: %v", err)
	}
}

// A loop goes on in another process, and from a document that expires it goes on until then.
func TestLoopGoesOn(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(func(j *jobs.Job) { each10m(j); j.Expires = d.now().Add(25 * time.Minute) })
	second := d.nextDue(first)
	d.must(d.Ledger.Close())
	d.Ledger = d.open()
	third := d.nextDue(second)
	if next := d.succeed(third); next != "" {
		t.Error("it goes on after the document has expired")
	}
	if kinds := d.kinds(third); !slices.Contains(kinds, eventlog.KindLoop) {
		t.Errorf("events %v", kinds)
	}
	d.wantLoop(first, 3, third, third)
}

// A success that runs again, since its result is missing, makes no second next job.
func TestLoopResultMissing(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(each10m)
	second := d.succeed(first)
	list, err := d.Act(t.Context(), VerbRetry, "Ann", []Target{{ID: first, Missing: 1}})
	d.must(err)
	d.must(list[0].Err)
	if next := d.succeed(first); next != "" {
		t.Errorf("%s follows", next)
	}
	d.wantLoop(first, 2, second, first)
}

// Whoever guesses the ids of the next jobs does not stop the loop with a few of them.
func TestLoopIDsAreTaken(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.add(each10m)
	for n := 2; n <= 3; n++ {
		d.add(func(j *jobs.Job) { j.ID = runID(first, n) })
	}
	next := d.succeed(first)
	if next != runID(first, 4) {
		t.Errorf("the next job is %q", next)
	}
	d.wantLoop(first, 4, next, first)
	if p, _, err := d.Loops.Place(t.Context(), first); err != nil || p.Next != next {
		t.Errorf("%+v, %v", p, err)
	}
	second := d.add(each10m)
	for n := range 20 {
		d.add(func(j *jobs.Job) { j.ID = runID(second, n) })
	}
	if next := d.succeed(second); next != "" || !slices.Contains(d.kinds(second), eventlog.KindLoop) {
		t.Errorf("next %q, events %v", next, d.kinds(second))
	}
	d.wantState(second, jobs.Succeeded)
}

// A document with a fault begins its loop when it can be read.
func TestLoopOfARepairedDocument(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(each10m)
	job := e.Job
	e.Job.Repeat, e.Fault = 0, &jobs.Error{Class: jobs.ClassDocument, Message: "no"}
	id := d.put(e).Record.ID
	if _, err := d.act(VerbEndLoop, id); !errors.Is(err, ErrNoLoop) {
		t.Errorf("end: %v", err)
	}
	list, err := d.Act(t.Context(), VerbRetry, "Ann", []Target{{ID: id, Job: &job}})
	d.must(err)
	d.must(list[0].Err)
	next := d.succeed(id)
	d.wantLoop(id, 2, next, id)
}

// Whatever happens to a loop, at most one of its jobs has not ended, none follows its end, and
// each success but the newest has one that follows.
func TestLoopProperty(t *testing.T) {
	t.Parallel()
	root, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		d := &fixture{t: rt, clock: &testClock{}, path: filepath.Join(root, fmt.Sprint(n, ".db"))}
		d.clock.us.Store(time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC).UnixMicro())
		d.dsn = newDSN(rt, d.path)
		d.Ledger = d.open()
		defer func() { _ = d.Ledger.Close() }()
		e := entry(each10m)
		first := d.put(e).Record.ID
		ended, runs := false, 1
		some := func(rt *rapid.T) string {
			ids, _ := d.members(first)
			if len(ids) == 0 {
				rt.Skip("none")
			}
			return rapid.SampledFrom(ids).Draw(rt, "job")
		}
		act := func(v Verb) func(*rapid.T) {
			return func(rt *rapid.T) { _, _ = d.act(v, some(rt)) }
		}
		finish := func(state jobs.State, outcome jobs.Outcome) func(*rapid.T) {
			return func(rt *rapid.T) {
				r := d.record(d.loop(first).Newest)
				if r.State == jobs.Queued {
					d.advance(time.Hour)
					d.run(r.ID)
					return
				}
				if r.State == jobs.Running {
					d.end(r.ID, r.Attempt, state, outcome)
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"cancel": act(VerbCancel), "retry": act(VerbRetry), "reset": act(VerbReset), "terminate": act(VerbTerminate),
			"succeed": finish(jobs.Succeeded, jobs.OutcomeSucceeded), "succeed more": finish(jobs.Succeeded, jobs.OutcomeSucceeded),
			"fail": finish(jobs.Failed, jobs.OutcomeFailed), "lose": finish(jobs.Queued, jobs.OutcomeLost),
			"again": func(*rapid.T) { d.put(e) },
			"delete": func(rt *rapid.T) {
				if id := some(rt); id != d.loop(first).Newest {
					_, _ = d.act(VerbDelete, id)
				}
			},
			"end": func(rt *rapid.T) {
				if rapid.IntRange(0, 5).Draw(rt, "end") == 0 {
					_, err := d.act(VerbEndLoop, some(rt))
					d.must(err)
					ended = true
				}
			},
			"reopen": func(*rapid.T) { d.must(d.Ledger.Close()); d.Ledger = d.open() },
			"": func(*rapid.T) {
				ids, live := d.members(first)
				l := d.loop(first)
				newest := d.record(l.Newest)
				switch {
				case live > 1:
					d.t.Errorf("%d jobs live of %v", live, ids)
				case l.Ended.IsZero() == ended:
					d.t.Errorf("ended %t, and the loop is %+v", ended, l)
				case ended && l.Runs > runs:
					d.t.Errorf("run %d was made after the end", l.Runs)
				case !ended && newest.State == jobs.Succeeded:
					d.t.Errorf("the newest job has succeeded, and none follows: %+v", l)
				case live == 1 && newest.State.Final():
					d.t.Errorf("another job lives than the newest, %s", strings.Join(ids, " "))
				}
				runs = l.Runs
			},
		})
	})
}
