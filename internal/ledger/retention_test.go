package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/keepspan"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

// mentions returns the tables that have a row with a job's id in a column of its own.
func (d *fixture) mentions(id string) (tables []string) {
	d.t.Helper()
	query, parameter := `SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'`, "?"
	if !d.onFile() {
		query, parameter = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()", "$1"
	}
	rows, err := sqlDB(d.Ledger).Query(query)
	d.must(err)
	type column struct{ table, name string }
	var columns []column
	d.must(eachRow(rows, func(r engine.Row) error {
		var c column
		err := r.Scan(&c.table, &c.name)
		columns = append(columns, c)
		return err
	}))
	for _, c := range columns {
		var n int
		d.must(sqlDB(d.Ledger).QueryRow(fmt.Sprintf("SELECT COUNT(*) FROM %q WHERE CAST(%q AS TEXT) LIKE %s", c.table, c.name, parameter), "%"+id+"%").Scan(&n))
		if n > 0 && !slices.Contains(tables, c.table) {
			tables = append(tables, c.table)
		}
	}
	slices.Sort(tables)
	return tables
}

// eventful returns a job that has rows in every table that a job can be in, and failed.
func (d *fixture) eventful() string {
	d.t.Helper()
	id := d.add(func(j *jobs.Job) {
		at(farBase)(j)
		j.Labels = map[string]string{"customer": "42", "b": "x"}
		j.Keep = jobs.Keep{Failed: jobs.Duration(time.Hour)}
	})
	d.end(id, d.run(id), jobs.Queued, jobs.OutcomeError)
	n := d.run(id)
	d.must(d.Report(d.t.Context(), id, n, Live{Message: "on it", Partial: json.RawMessage(`[1]`)}))
	d.save(id, n)
	d.end(id, n, jobs.Failed, jobs.OutcomeError)
	for _, h := range d.due(time.Minute) {
		d.must(d.Outbox.Done(d.t.Context(), h))
	}
	return id
}

func TestADeletedJobLeavesNoRow(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	id, other := d.eventful(), d.eventful()
	before := d.mentions(id)
	if want := []string{"attempts", "checkpoints", "deliveries", "documents", "events", "jobs", "labels", "live", "partials"}; !cmp.Equal(want, before) {
		t.Fatalf("before the deletion it is in %v, want %v", before, want)
	}
	if r, err := d.act(VerbDelete, id); err != nil || r.State != jobs.Failed {
		t.Fatalf("delete: %+v, %v", r, err)
	}
	if got, want := d.mentions(id), []string{"deleted", "events", "removals"}; !cmp.Equal(want, got) {
		t.Errorf("after the deletion it is in %v, want %v", got, want)
	}
	if got := d.kinds(id); !cmp.Equal(got, []string{eventlog.KindDeleted}) {
		t.Errorf("its events are %v", got)
	}
	if got := d.mentions(other); !cmp.Equal(before, got) {
		t.Errorf("another job is in %v, was in %v", got, before)
	}
	d.recount()
	_, err := d.Get(t.Context(), id)
	var deleted *retention.Deleted
	if !errors.Is(err, ErrUnknown) || !errors.As(err, &deleted) || !deleted.At.Equal(d.now()) || deleted.State != jobs.Failed || deleted.Program != "p" {
		t.Errorf("get: %v, %+v", err, deleted)
	}
	if _, err := d.act(VerbRetry, id); !errors.Is(err, ErrUnknown) || !errors.Is(err, retention.ErrDeleted) {
		t.Errorf("retry: %v", err)
	}
	list, err := d.Retention.Removals(t.Context(), "")
	d.must(err)
	if want := []retention.Removal{{Job: id, Attempts: 2}}; !cmp.Equal(want, list) {
		t.Errorf("removals %+v, want %+v", list, want)
	}
	d.must(d.Retention.Removed(t.Context(), list))
	if got, want := d.mentions(id), []string{"deleted", "events"}; !cmp.Equal(want, got) {
		t.Errorf("after the removal it is in %v, want %v", got, want)
	}
}

func TestADocumentOfADeletedJobIsNotRunAgain(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(nil)
	d.put(e)
	d.end(e.Job.ID, d.run(e.Job.ID), jobs.Succeeded, jobs.OutcomeSucceeded)
	_, err := d.act(VerbDelete, e.Job.ID)
	d.must(err)
	for range 2 {
		if a := d.put(e); a.New || !errors.Is(a.Err, retention.ErrDeleted) || a.Record.ID != e.Job.ID {
			t.Errorf("accepted %+v", a)
		}
	}
	other := d.add(func(j *jobs.Job) { j.Needs = []string{e.Job.ID} })
	d.wantState(other, jobs.Queued) // its need had succeeded
	d.recount()
}

func TestAJobThatIsNeededOrToBeSentStays(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	sending := d.add(func(j *jobs.Job) { at(ownBase)(j); j.Webhook = "https://hook.example/" })
	d.end(sending, d.run(sending), jobs.Succeeded, jobs.OutcomeSucceeded)
	delivering := d.add(at(farBase))
	d.end(delivering, d.run(delivering), jobs.Succeeded, jobs.OutcomeSucceeded)
	for _, id := range []string{sending, delivering} {
		if _, err := d.act(VerbDelete, id); !errors.Is(err, retention.ErrSending) {
			t.Errorf("delete of a job that is to be sent: %v", err)
		}
	}
	for _, h := range d.due(time.Minute) {
		d.must(d.Outbox.Done(t.Context(), h))
	}
	for _, id := range []string{sending, delivering} {
		_, err := d.act(VerbDelete, id)
		d.must(err)
	}
	needed := d.add(at(ownBase))
	d.end(needed, d.run(needed), jobs.Succeeded, jobs.OutcomeSucceeded)
	d.write(qLeaveRemaining, needed) // as if it had more dependents than one transaction updates
	d.write(qInsertNeed[len(qInsertNeed)-1], needed, jobs.NewID(), 0, 0, 0)
	if _, err := d.act(VerbDelete, needed); err == nil {
		// The writer may have updated the rest before.
		d.wantRows("unsettled", 0)
	} else if !errors.Is(err, retention.ErrNeeded) {
		t.Errorf("delete of a job that is needed: %v", err)
	}
}

// TestCancelAndDeleteInOneTransaction shows that what a transaction has staged for a job
// is not written after the deletion.
func TestCancelAndDeleteInOneTransaction(t *testing.T) {
	t.Parallel()
	for webhook, want := range map[string]error{"": nil, "https://hook.example/": retention.ErrSending} {
		d := newDeliveryFixture(t)
		id := d.add(func(j *jobs.Job) { at(ownBase)(j); j.Webhook = webhook })
		var refusal error
		d.must(d.do(t.Context(), &op{name: "test", weight: 1, run: func(tx *txn) error {
			for _, verb := range []Verb{VerbCancel, VerbDelete} {
				a, err := (&Target{ID: id}).act(tx, verb, "Ann")
				if err != nil {
					return err
				}
				refusal = a.Err
			}
			return nil
		}}))
		if !errors.Is(refusal, want) || refusal != nil && want == nil {
			t.Errorf("webhook %q: %v", webhook, refusal)
		}
		if got := d.mentions(id); want == nil && !cmp.Equal(got, []string{"deleted", "events", "removals"}) {
			t.Errorf("it is in %v", got)
		}
		if want == nil && !cmp.Equal(d.kinds(id), []string{eventlog.KindDeleted}) {
			t.Errorf("its events are %v", d.kinds(id))
		}
		d.recount()
	}
}

// walked returns all jobs that a whole walk finds due.
func (d *fixture) walked(w *retention.Walk) (ids []string) {
	d.t.Helper()
	for more := true; more; {
		var list []retention.Due
		var err error
		list, more, err = d.Retention.Next(d.t.Context(), w)
		d.must(err)
		for _, v := range list {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func (d *fixture) looked() (ids []string) {
	d.t.Helper()
	for more := true; more; {
		var list []retention.Due
		var err error
		list, more, err = d.Retention.Looks(d.t.Context())
		d.must(err)
		for _, v := range list {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func keep(text string) jobs.Keep {
	k, err := keepspan.Parse(text)
	if err != nil {
		panic(err)
	}
	return k
}

// TestTheDocumentWinsOverTheProgramAndThatOverTheSetting lets time pass and looks when
// each job is due.
func TestTheDocumentWinsOverTheProgramAndThatOverTheSetting(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		document, program, setting string
		state                      jobs.State
		want                       time.Duration // 0 is never
	}{
		"nobody says anything":           {"", "", "", jobs.Succeeded, 0},
		"the setting":                    {"", "", "3d", jobs.Succeeded, 3 * day},
		"the setting of another state":   {"", "", "failed=3d", jobs.Succeeded, 0},
		"the program":                    {"", "2d", "3d", jobs.Succeeded, 2 * day},
		"a longer program":               {"", "5d", "3d", jobs.Failed, 5 * day},
		"the program, for ever":          {"", "forever", "3d", jobs.Cancelled, 0},
		"the program of another state":   {"", "failed=1d", "3d", jobs.Succeeded, 3 * day},
		"the document":                   {"1d", "2d", "3d", jobs.Succeeded, day},
		"a longer document":              {"6d", "2d", "3d", jobs.Failed, 6 * day},
		"the document, for ever":         {"forever", "2d", "3d", jobs.Succeeded, 0},
		"the document of another state":  {"failed=1d", "2d", "3d", jobs.Succeeded, 2 * day},
		"the document of this state":     {"failed=1d,succeeded=9d", "2d", "3d", jobs.Succeeded, 9 * day},
		"the document alone":             {"4d", "", "", jobs.Cancelled, 4 * day},
		"the document, and another ends": {"failed=1d", "", "", jobs.Cancelled, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			d.must(d.Nodes.Beat(t.Context(), "i1", []nodes.Program{{Name: "p", SHA256: "x", Keep: c.program}}, 1, nil))
			id := d.add(func(j *jobs.Job) { j.Keep = keep(c.document) })
			d.clock.advance(12 * time.Hour) // in the queue
			switch c.state {
			case jobs.Cancelled:
				_, err := d.act(VerbCancel, id)
				d.must(err)
			default:
				d.end(id, d.run(id), c.state, jobs.OutcomeSucceeded)
			}
			for h := time.Duration(0); h <= 10*24; h += 6 {
				got := append(d.walked(&retention.Walk{Keep: keep(c.setting)}), d.looked()...)
				if due := c.want > 0 && h*time.Hour >= c.want; due != cmp.Equal(got, []string{id}) || !due && len(got) > 0 {
					t.Fatalf("%s after the end, due are %v, want %v", h*time.Hour, got, due)
				}
				d.clock.advance(6 * time.Hour)
			}
		})
	}
}

// TestARetriedJobIsKeptFromItsNewEnd shows that look_at is not forgotten after a final
// state that is kept for ever.
func TestARetriedJobIsKeptFromItsNewEnd(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.add(func(j *jobs.Job) { j.Keep = keep("succeeded=1d,failed=forever") })
	d.end(id, d.run(id), jobs.Failed, jobs.OutcomeError)
	d.clock.advance(48 * time.Hour)
	if got := d.looked(); len(got) > 0 {
		t.Fatalf("due are %v", got)
	}
	_, err := d.act(VerbRetry, id)
	d.must(err)
	if got := d.looked(); len(got) > 0 {
		t.Fatalf("due are %v while it is queued", got)
	}
	d.clock.advance(48 * time.Hour)
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	if got := d.looked(); len(got) > 0 {
		t.Fatalf("due are %v right after the end", got)
	}
	d.clock.advance(24 * time.Hour)
	if got := d.looked(); !cmp.Equal(got, []string{id}) {
		t.Errorf("due are %v, want %s", got, id)
	}
}

// TestAWalkGoesOnWhereItStopped has more jobs that are not due than one call reads.
func TestAWalkGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var list []Entry
	for range 1100 {
		list = append(list, entry(func(j *jobs.Job) { j.Keep = keep("forever") }))
	}
	plain := entry(nil)
	for i := range list {
		list[i].Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
	}
	plain.Fault = list[0].Fault
	_, err := d.Accept(t.Context(), list)
	d.must(err)
	d.clock.advance(time.Second)
	d.put(plain)
	d.clock.advance(48 * time.Hour)
	w := retention.Walk{Keep: keep("1d")}
	for range 2 {
		if got := d.walked(&w); !cmp.Equal(got, []string{plain.Job.ID}) {
			t.Errorf("due are %d jobs, want 1", len(got))
		}
	}
}

func TestOneNodeDeletesForThePool(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	take := func(owner string, want bool) {
		t.Helper()
		mine, err := d.Retention.Take(t.Context(), owner, time.Minute)
		d.must(err)
		if mine != want {
			t.Errorf("%s has the duty: %v, want %v", owner, mine, want)
		}
	}
	take("i1", true)
	take("i2", false)
	take("i1", true)
	d.clock.advance(40 * time.Second)
	take("i1", true) // renews it
	d.clock.advance(40 * time.Second)
	take("i2", false)
	d.clock.advance(30 * time.Second)
	take("i2", true)
	take("i1", false)
	d.clock.advance(-time.Hour) // the clock of i2 was ahead
	take("i1", true)
}

func TestDeletedIDsAndOldEventsAreForgotten(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := d.inState(jobs.Failed)
	_, err := d.act(VerbDelete, id)
	d.must(err)
	d.must(d.Events.Note(t.Context(), eventlog.Event{Kind: eventlog.KindPaused, Node: "n1"}))
	kept := d.inState(jobs.Failed)
	events := func() (kinds []string) {
		list, err := d.Events.Newest(t.Context(), "", 0)
		d.must(err)
		for _, e := range list {
			kinds = append(kinds, e.Kind)
		}
		slices.Sort(kinds)
		return kinds
	}
	d.clock.advance(eventlog.Keep - time.Minute)
	d.must(d.Rollup(t.Context()))
	if got := events(); !cmp.Equal(got, []string{eventlog.KindDeleted, eventlog.KindFailed, eventlog.KindPaused}) {
		t.Errorf("events before their time: %v", got)
	}
	d.clock.advance(2 * time.Minute)
	d.must(d.Rollup(t.Context()))
	if got := events(); !cmp.Equal(got, []string{eventlog.KindFailed}) {
		t.Errorf("events after their time: %v", got)
	}
	d.clock.advance(retention.Remembered - eventlog.Keep)
	d.must(d.Rollup(t.Context()))
	if _, err := d.Get(t.Context(), id); !errors.Is(err, retention.ErrDeleted) {
		t.Errorf("an id is forgotten whose objects are not removed: %v", err)
	}
	d.must(d.Retention.Removed(t.Context(), []retention.Removal{{Job: id}}))
	d.must(d.Rollup(t.Context()))
	if _, err := d.Get(t.Context(), id); !errors.Is(err, ErrUnknown) || errors.Is(err, retention.ErrDeleted) {
		t.Errorf("an id is remembered too long: %v", err)
	}
	d.wantState(kept, jobs.Failed)
}
