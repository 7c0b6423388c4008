package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/retention"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestAcceptKeepsTheJob(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	priority := uint32(7)
	e := entry(func(j *jobs.Job) {
		j.Priority = &priority
		j.Created = time.Date(2026, 1, 2, 3, 4, 5, 678999, time.FixedZone("", 3600))
		j.NotBefore = d.clock.now().Add(time.Hour)
		j.Expires = d.clock.now().Add(2 * time.Hour)
		j.Labels = map[string]string{"meter": "42", "site": "Ü"}
	})
	got := d.put(e)
	want := Record{
		ID: e.Job.ID, Program: "p", State: jobs.Queued, Priority: 7, Document: e.Document, Labels: e.Job.Labels,
		Created: e.Job.Created.UTC().Truncate(time.Microsecond), Accepted: d.clock.now().UTC(), Updated: d.clock.now().UTC(),
		NotBefore: e.Job.NotBefore.UTC(), StartAfter: e.Job.NotBefore.UTC(), Due: e.Job.NotBefore.UTC(), Expires: e.Job.Expires.UTC(),
	}
	if diff := cmp.Diff(Accepted{New: true, Record: want}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, d.record(e.Job.ID)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{eventlog.KindAccepted}, d.kinds(e.Job.ID)); diff != "" {
		t.Error(diff)
	}
	d.recount()
}

func TestAcceptOfAKnownID(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(nil)
	spaced := e
	spaced.Document = bytes.ReplaceAll(e.Document, []byte(`,`), []byte(" ,\n"))
	other := e
	other.Document = bytes.ReplaceAll(e.Document, []byte(`"data":1`), []byte(`"data":2`))

	got, err := d.Accept(t.Context(), []Entry{e, e, spaced, other}) // as if one after the other
	d.must(err)
	later, err := d.Accept(t.Context(), []Entry{spaced, other})
	d.must(err)
	for i, want := range []struct {
		new bool
		err error
	}{{true, nil}, {false, nil}, {false, nil}, {false, ErrConflict}, {false, nil}, {false, ErrConflict}} {
		a := append(got, later...)[i]
		if a.New != want.new || !errors.Is(a.Err, want.err) || a.Record.ID != e.Job.ID {
			t.Errorf("%d: %+v", i, a)
		}
	}
	if diff := cmp.Diff([]string{eventlog.KindAccepted, eventlog.KindConflict, eventlog.KindConflict}, d.kinds(e.Job.ID)); diff != "" {
		t.Error(diff)
	}
	if got := d.record(e.Job.ID).Document; !bytes.Equal(got, e.Document) {
		t.Errorf("document changed: %s", got)
	}
	d.recount()
}

// TestAcceptOfARetry checks that a retry by another process, with a time of its own, is
// the same job, and that a conflict says where.
func TestAcceptOfARetry(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	e := entry(nil)
	d.put(e)
	later, other := e.Job, e.Job
	later.Created = d.clock.now().Add(time.Minute)
	other.Input.Data = json.RawMessage(`"a secret"`)
	d.run(e.Job.ID)
	if a := d.put(entryOf(later)); a.New || a.Err != nil || a.Record.State != jobs.Running {
		t.Errorf("created later: %+v", a)
	}
	a := d.put(entryOf(other))
	var conflict *Conflict
	if a.New || !errors.As(a.Err, &conflict) || !errors.Is(a.Err, ErrConflict) || conflict.Pointer != "/input/data" {
		t.Errorf("another input: %+v", a)
	}
	events, err := d.Events.Newest(t.Context(), e.Job.ID, 10)
	d.must(err)
	for _, text := range []string{events[0].Message, a.Err.Error()} {
		if !strings.Contains(text, "/input/data") || strings.Contains(text, "secret") {
			t.Errorf("%q, want where it differs and no value", text)
		}
	}
	if diff := cmp.Diff([]string{eventlog.KindAccepted, eventlog.KindConflict}, d.kinds(e.Job.ID)); diff != "" {
		t.Error(diff)
	}
	if got := d.record(e.Job.ID).Document; !bytes.Equal(got, e.Document) {
		t.Errorf("document changed: %s", got)
	}
	d.end(e.Job.ID, 1, jobs.Succeeded, jobs.OutcomeSucceeded)
	_, err = d.act(VerbDelete, e.Job.ID)
	d.must(err)
	if a := d.put(entryOf(later)); a.New || !errors.Is(a.Err, retention.ErrDeleted) {
		t.Errorf("of a deleted job: %+v", a)
	}
	// It was deleted between the transaction and the comparison.
	again, answer := entryOf(later), []Accepted{{Err: ErrConflict}}
	d.must(compareKnown(t.Context(), d.Ledger, []candidate{newCandidate(&again)}, answer))
	if !errors.Is(answer[0].Err, retention.ErrDeleted) {
		t.Errorf("of a job that was deleted meanwhile: %+v", answer[0])
	}
	d.recount()
}

// TestAcceptOfARetryAtAnotherAddress checks that two URLs of the pool are the same.
func TestAcceptOfARetryAtAnotherAddress(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), Config{
		DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db"), BaseURL: "https://a.example", FormerURLs: []string{"https://b.example/x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first := entry(nil)
	for _, c := range []struct {
		base string
		err  error
	}{
		{"https://a.example/", nil},
		{"https://b.example/x/", nil},
		{"https://a.example:443/", nil},
		{"https://c.example/", ErrConflict},
	} {
		again := first.Job
		again.Result.URL = c.base + again.ID
		got, err := l.Accept(t.Context(), []Entry{entryOf(again)})
		if err != nil || !errors.Is(got[0].Err, c.err) {
			t.Errorf("%s: %+v, %v", c.base, got, err)
		}
	}
}

func TestAcceptOfAFault(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	id := jobs.NewID()
	dependent := d.add(func(j *jobs.Job) { j.Needs = []string{id} })
	a := d.put(Entry{
		Job: jobs.Job{ID: id}, Document: []byte("{\"id\":\"x\",\xff\x00"),
		Fault: &jobs.Error{Class: jobs.ClassDocument, Message: "program is missing", Pointer: "/program"},
	})
	if !a.New || a.Record.State != jobs.Failed || a.Record.Finished.IsZero() {
		t.Errorf("%+v", a)
	}
	r := d.wantState(id, jobs.Failed)
	if diff := cmp.Diff(&jobs.Error{Class: jobs.ClassDocument, Message: "program is missing", Pointer: "/program"}, r.Error); diff != "" {
		t.Error(diff)
	}
	if string(r.Document) != "{\"id\":\"x\",\xff\x00" {
		t.Errorf("document is %q", r.Document)
	}
	if diff := cmp.Diff([]string{eventlog.KindFault}, d.kinds(id)); diff != "" {
		t.Error(diff)
	}
	if r := d.wantState(dependent, jobs.Failed); r.Error.Class != jobs.ClassNeeds {
		t.Errorf("%+v", r.Error)
	}
	d.recount()
}

func TestAcceptRefusesWhatIsTooBig(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	labels := map[string]string{}
	for i := range maxLabels + 1 {
		labels[fmt.Sprint(i)] = ""
	}
	long := strings.Repeat("x", maxLabel)
	for name, e := range map[string]Entry{
		"no id":         entry(func(j *jobs.Job) { j.ID = "" }),
		"long id":       entry(func(j *jobs.Job) { j.ID = long }),
		"id with NUL":   entry(func(j *jobs.Job) { j.ID = "a\x00b" }),
		"document":      {Job: jobs.Job{ID: jobs.NewID()}, Document: make([]byte, maxDocument+1)},
		"needs":         entry(func(j *jobs.Job) { j.Needs = make([]string, maxNeeds+1) }),
		"id of a need":  entry(func(j *jobs.Job) { j.Needs = []string{long} }),
		"many labels":   entry(func(j *jobs.Job) { j.Labels = labels }),
		"label of size": entry(func(j *jobs.Job) { j.Labels = map[string]string{"k": long} }),
	} {
		if a := d.put(e); !errors.Is(a.Err, engine.ErrTooBig) || a.New {
			t.Errorf("%s: %+v", name, a)
		}
	}
	d.recount()
}

func TestAcceptWithNeeds(t *testing.T) {
	t.Parallel()
	type need = func(d *fixture) string
	done := func(state jobs.State) need {
		return func(d *fixture) string {
			id := d.add(nil)
			d.end(id, d.run(id), state, jobs.OutcomeSucceeded)
			return id
		}
	}
	waits := func(d *fixture) string { return d.add(nil) }
	never := func(*fixture) string { return jobs.NewID() }
	for name, c := range map[string]struct {
		needs []need
		want  jobs.State
	}{
		"all succeeded": {[]need{done(jobs.Succeeded), done(jobs.Succeeded)}, jobs.Queued},
		"one queued":    {[]need{done(jobs.Succeeded), waits}, jobs.Waiting},
		"one unknown":   {[]need{never}, jobs.Waiting},
		"one failed":    {[]need{waits, done(jobs.Failed)}, jobs.Failed},
		"one cancelled": {[]need{never, done(jobs.Cancelled)}, jobs.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newFixture(t)
			var ids []string
			for _, n := range c.needs {
				ids = append(ids, n(d))
			}
			a := d.put(entry(func(j *jobs.Job) { j.Needs = append(ids, ids...) }))
			r := d.wantState(a.Record.ID, c.want)
			if diff := cmp.Diff(r, a.Record); diff != "" {
				t.Errorf("answer differs from record: %s", diff)
			}
			if c.want == jobs.Failed && r.Error.Class != jobs.ClassNeeds {
				t.Errorf("%+v", r.Error)
			}
			d.recount()
		})
	}
}

func TestAcceptSeesACircleOfNeeds(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	ids := []string{jobs.NewID(), jobs.NewID(), jobs.NewID()}
	for i, id := range ids {
		d.put(entry(func(j *jobs.Job) { j.ID, j.Needs = id, []string{ids[(i+1)%3]} }))
	}
	for _, id := range ids {
		if r := d.wantState(id, jobs.Failed); r.Error.Class != jobs.ClassNeeds {
			t.Errorf("%+v", r.Error)
		}
	}
	// The last one closes the circle.
	want := "what it needs waits for it: " + strings.Join([]string{ids[2], ids[0], ids[1], ids[2]}, " needs ")
	if r := d.wantState(ids[2], jobs.Failed); r.Error.Message != want {
		t.Errorf("%q, want %q", r.Error.Message, want)
	}
	self := jobs.NewID()
	d.put(entry(func(j *jobs.Job) { j.ID, j.Needs = self, []string{self} }))
	d.wantState(self, jobs.Failed)
	d.recount()
}
