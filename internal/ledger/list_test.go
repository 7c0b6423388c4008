package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

// listFixture returns a ledger with jobs in every state, and the jobs as List should
// return them.
func listFixture(t *testing.T, n int) (*fixture, []Record) {
	d := newFixture(t)
	var list []Record
	for i := range n {
		if i%3 == 0 {
			d.clock.advance(time.Second) // some are accepted in the same microsecond
		}
		id := d.add(func(j *jobs.Job) {
			j.Program = fmt.Sprintf("p%d", i%2)
			j.Labels = map[string]string{"colour": []string{"red", "blue"}[i%5%2], "i": fmt.Sprint(i)}
			if i%11 == 5 {
				j.Needs = []string{jobs.NewID()}
			}
		})
		if i%11 != 5 {
			d.lead(id, i)
		}
		list = append(list, d.record(id))
	}
	slices.SortFunc(list, func(a, b Record) int {
		if c := b.Accepted.Compare(a.Accepted); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	for i := range list {
		list[i].Document = nil
	}
	return d, list
}

// lead changes a queued job according to i.
func (d *fixture) lead(id string, i int) {
	d.t.Helper()
	var err error
	switch i % 7 {
	case 1, 2:
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	case 3:
		d.end(id, d.run(id), jobs.Failed, jobs.OutcomeFailed)
	case 4:
		_, err = d.act(VerbCancel, id)
	case 5:
		d.run(id)
	case 6:
		_, err = d.Claim(d.t.Context(), id, Owner{Instance: "i2", Node: "n2"}, "")
	}
	d.must(err)
}

func TestListPages(t *testing.T) {
	t.Parallel()
	d, all := listFixture(t, 80)
	for _, f := range filters(all) {
		var want []Record
		for _, r := range all {
			if matches(&r, &f) {
				want = append(want, r)
			}
		}
		for _, limit := range []int{1, 7, 0, 5000} {
			f.Limit = limit
			if diff := cmp.Diff(want, d.pages(f)); diff != "" {
				t.Errorf("%+v: %s", f, diff)
			}
		}
	}
}

// filters returns all filters by one field and by two.
func filters(all []Record) []listing.Filter {
	since, until := all[len(all)*2/3].Accepted, all[len(all)/4].Accepted
	parts := [][]func(*listing.Filter){
		{func(*listing.Filter) {}},
		{func(f *listing.Filter) { f.Program = "p1" }, func(f *listing.Filter) { f.Program = "none" }},
		{func(f *listing.Filter) { f.Node = "n1" }, func(f *listing.Filter) { f.Node = "n2" }},
		{func(f *listing.Filter) { f.Label = "colour=red" }, func(f *listing.Filter) { f.Label = "colour" }},
		{func(f *listing.Filter) { f.Since = since }, func(f *listing.Filter) { f.Until = until }, func(f *listing.Filter) { f.Since, f.Until = since, until }},
		{func(f *listing.Filter) { f.EndedBefore = all[len(all)/3].Accepted }, func(f *listing.Filter) { f.EndedBefore = all[0].Accepted.Add(time.Hour) }},
		{
			func(f *listing.Filter) { f.Text = "Went WRONG" }, func(f *listing.Filter) { f.Text = "colour=blue" }, func(f *listing.Filter) { f.Text = "Lu" },
			func(f *listing.Filter) { f.Text = all[9].ID }, func(f *listing.Filter) { f.Text = strings.ToUpper(all[9].ID[:8]) }, func(f *listing.Filter) { f.Text = "P0" },
		},
	}
	states := []func(*listing.Filter){}
	for _, s := range jobs.States {
		states = append(states, func(f *listing.Filter) { f.State = s })
	}
	parts = append(parts, states)
	list := []listing.Filter{{State: jobs.Failed, Label: "colour=blue", Program: "p1", Node: "n1", Since: since}}
	for i, first := range parts {
		for _, a := range first {
			for _, second := range parts[:i] {
				for _, b := range second {
					var f listing.Filter
					a(&f)
					b(&f)
					list = append(list, f)
				}
			}
		}
	}
	return list
}

func matches(r *Record, f *listing.Filter) bool {
	return (f.State == "" || r.State == f.State) && (f.Program == "" || r.Program == f.Program) &&
		(f.Node == "" || r.Node == f.Node) && (f.Label == "" || hasLabel(r, f.Label)) && hasText(r, f.Text) &&
		(f.Since.IsZero() || !r.Accepted.Before(f.Since)) && (f.Until.IsZero() || r.Accepted.Before(f.Until)) &&
		(f.EndedBefore.IsZero() || r.State.Final() && r.Finished.Before(f.EndedBefore))
}

func hasLabel(r *Record, label string) bool {
	key, value, _ := strings.Cut(label, "=")
	return value != "" && r.Labels[key] == value
}

func hasText(r *Record, text string) bool {
	all := r.ID + "\n" + r.Program + "\n" + r.Reason + "\n" + labelsText(r.Labels)
	if r.Error != nil {
		all += "\n" + r.Error.Message
	}
	return strings.Contains(strings.ToLower(all), strings.ToLower(text)) || hasLabel(r, text)
}

// pages returns the jobs of all pages of a list.
func (d *fixture) pages(f listing.Filter) (list []Record) {
	d.t.Helper()
	for range 1000 {
		p, err := d.List(d.t.Context(), f)
		d.must(err)
		if f.Limit > 0 && len(p.Jobs) > f.Limit {
			d.t.Fatalf("%d jobs on a page of %d", len(p.Jobs), f.Limit)
		}
		list = append(list, p.Jobs...)
		if p.Next == "" {
			return list
		}
		f.Cursor = p.Next
	}
	d.t.Fatal("the pages do not end")
	return nil
}

// More jobs than one call reads, and a queue too long to sort.
func TestListOfMany(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var entries []Entry
	rare := map[int]bool{0: true, 1100: true, 2199: true}
	for i := range 2200 {
		entries = append(entries, entry(func(j *jobs.Job) {
			j.Program = "common"
			if rare[i] {
				j.Program = "rare"
			}
			j.Labels = map[string]string{"all": "yes"}
		}))
	}
	_, err := d.Accept(t.Context(), entries)
	d.must(err)
	for name, c := range map[string]struct {
		f    listing.Filter
		want int
	}{
		"queued":             {listing.Filter{State: jobs.Queued, Limit: 1000}, 2200},
		"of a program":       {listing.Filter{Program: "common", Limit: 1000}, 2197},
		"of a small program": {listing.Filter{Program: "rare"}, 3},
		"label and program":  {listing.Filter{Label: "all=yes", Program: "rare"}, 3},
		"label and state":    {listing.Filter{Label: "all=yes", State: jobs.Failed}, 0},
	} {
		if got := len(d.pages(c.f)); got != c.want {
			t.Errorf("%s: %d jobs, want %d", name, got, c.want)
		}
	}
}

// More running jobs than one call reads, among others of their program: the pages
// contain every job once.
func TestListOfManyRunning(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var entries []Entry
	for i := range listing.MaxWalk + 150 {
		entries = append(entries, entry(func(j *jobs.Job) {
			if i%30 == 0 {
				j.Program = "rare"
			}
		}))
	}
	_, err := d.Accept(t.Context(), entries)
	d.must(err)
	d.must(d.do(t.Context(), &op{run: func(tx *txn) error {
		for i, e := range entries {
			if i%20 == 0 {
				continue
			}
			if _, err := claimJob(tx, e.Job.ID, Owner{Instance: "i1", Node: "n1"}, ""); err != nil {
				return err
			}
		}
		return nil
	}}))
	for i := 0; i < len(entries); i += 40 {
		_, err := d.act(VerbCancel, entries[i].Job.ID)
		d.must(err)
	}
	rare := (len(entries) + 29) / 30
	for f, want := range map[listing.Filter]int{
		{Limit: 1000}: len(entries), {Program: "p", Limit: 1000}: len(entries) - rare, {Program: "rare", Limit: 100}: rare,
	} {
		seen := map[string]bool{}
		for _, r := range d.pages(f) {
			if seen[r.ID] {
				t.Fatalf("%+v: job %s is listed twice", f, r.ID)
			}
			seen[r.ID] = true
		}
		if len(seen) != want {
			t.Errorf("%+v: %d jobs listed, there are %d", f, len(seen), want)
		}
	}
}

func TestListRefusesCursors(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	for _, s := range []string{"x", "AAAA", strings.Repeat("A", 500), "_____________w"} {
		if _, err := d.List(t.Context(), listing.Filter{Cursor: s}); !errors.Is(err, listing.ErrCursor) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// A search that breaks off says how far it has come. The next page goes on.
func TestListSaysHowFarItLooked(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	d.maxSearch = time.Hour
	first := d.add(func(j *jobs.Job) { j.Labels = map[string]string{"say": `"<here>"`} })
	for range 3 {
		d.clock.advance(time.Minute)
		entries := make([]Entry, listing.MaxWalk/2)
		for i := range entries {
			entries[i] = entry(nil)
		}
		_, err := d.Accept(t.Context(), entries)
		d.must(err)
	}
	f := listing.Filter{Text: `"<HERE`}
	page, err := d.List(t.Context(), f)
	d.must(err)
	if len(page.Jobs) != 0 || page.Next == "" || page.Back.IsZero() {
		t.Fatalf("%+v", page)
	}
	if list := d.pages(f); len(list) != 1 || list[0].ID != first {
		t.Errorf("%+v", list)
	}
	f.Since = page.Back.Add(time.Second)
	if page, err = d.List(t.Context(), f); err != nil || page.Next != "" || !page.Back.IsZero() {
		t.Errorf("it looked beyond the time that was asked for: %+v, %v", page, err)
	}
}

func TestGetMany(t *testing.T) {
	t.Parallel()
	d, all := listFixture(t, 20)
	ids := []string{all[3].ID, jobs.NewID(), all[17].ID, all[0].ID}
	got, err := d.GetMany(t.Context(), ids)
	d.must(err)
	if diff := cmp.Diff([]Record{all[3], all[17], all[0]}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := d.GetMany(t.Context(), make([]string, maxMany+1)); !errors.Is(err, engine.ErrTooBig) {
		t.Error(err)
	}
}
