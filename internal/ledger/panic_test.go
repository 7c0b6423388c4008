package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/jobs"
)

// A panic in one operation of a batch fails only that operation.
func TestAPanicFailsItsOwnOperation(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	release := d.hold()
	before := d.queueUp(t.Context(), &op{name: "before", run: func(tx *txn) error { tx.note("good", "", "", "before"); return nil }})
	bad := d.queueUp(t.Context(), &op{name: "bad", run: func(tx *txn) error {
		if _, err := tx.Exec(qBadEvent, jobs.NewID()); err != nil {
			return err
		}
		var none []int
		none[len(none)]++
		return nil
	}})
	after := d.queueUp(t.Context(), &op{name: "after", run: func(tx *txn) error { tx.note("good", "", "", "after"); return nil }})
	release()
	d.must(<-before)
	d.must(<-after)
	var caught *panics.Error
	if err := <-bad; !errors.As(err, &caught) || !strings.Contains(caught.Stack, "panic_test.go") {
		t.Errorf("the operation that panicked ended with %v", err)
	}
	list, err := d.Events.Newest(t.Context(), "", 0)
	d.must(err)
	if len(list) != 2 || list[0].Kind != "good" || list[1].Kind != "good" {
		t.Errorf("events are %+v", list)
	}
}

func TestAListenerThatPanicsStopsNobody(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	defer d.OnChange(func([]string) { panic("a listener") })()
	told := make(chan string, 8)
	defer d.OnChange(func(ids []string) { told <- ids[0] })()
	for range 2 {
		if id := d.add(nil); <-told != id {
			t.Error("another job was told of")
		}
	}
}

func TestSeparately(t *testing.T) {
	t.Parallel()
	var done []int
	err := separately([]int{1, 2, 3}, func(list []int) error {
		return panics.Call(func() error {
			for _, n := range list {
				if n == 2 {
					panic(n)
				}
			}
			done = append(done, list...)
			return nil
		})
	})
	var caught *panics.Error
	if !errors.As(err, &caught) || len(done) != 2 || done[0] != 1 || done[1] != 3 {
		t.Errorf("%v, %v", done, err)
	}
}

func TestFail(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(nil)
	waits := d.add(func(j *jobs.Job) { j.Needs = []string{id} })
	e := jobs.Error{Class: jobs.OutcomeInternal, Message: "a panic"}
	d.must(d.Fail(t.Context(), id, e))
	for job, class := range map[string]jobs.Outcome{id: jobs.OutcomeInternal, waits: jobs.ClassNeeds} {
		if r, err := d.Get(t.Context(), job); err != nil || r.State != jobs.Failed || r.Error.Class != class {
			t.Errorf("%+v, %v", r, err)
		}
	}
	running := d.add(nil)
	d.run(running)
	d.must(d.Fail(t.Context(), running, e))
	if r, err := d.Get(t.Context(), running); err != nil || r.State != jobs.Running {
		t.Errorf("a job that runs: %+v, %v", r, err)
	}
	if err := d.Fail(t.Context(), jobs.NewID(), e); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

var qBadEvent = engine.NewQuery("INSERT INTO events (id, at, kind, job, node, asker, message) VALUES (?, 0, 'bad', '', '', '', '')")

var qBrokenDepth = engine.NewQuery("INSERT INTO depths (grain, at, waiting, queued, running) VALUES (60, ?, 0, 'many', 0)")

// A row with a wrong type causes an error, not a panic.
func TestActivityWithABrokenRow(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	d.write(qBrokenDepth, engine.Micros(d.clock.now()))
	if _, err := d.Activity.History(t.Context(), d.clock.now().Add(-1e9), d.clock.now().Add(1e9), ""); err == nil {
		t.Error("a broken row is not noticed")
	}
}
