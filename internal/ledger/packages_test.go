package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/jobs"
)

// sent begins and records a file.
func (d *fixture) sent(digest string) packages.File {
	d.t.Helper()
	f, have, err := d.Packages.Begin(d.t.Context(), digest)
	d.must(err)
	f.Size = 3
	if ok, err := d.Packages.Record(d.t.Context(), f); err != nil || !ok && !have {
		d.t.Fatalf("recorded %t, %v", ok, err)
	}
	return f
}

// look lets retention look at all files, and returns those that are dropped.
func (d *fixture) look() (dropped []string) {
	d.t.Helper()
	for range 2 { // the uses end first
		var w packages.Walk
		d.must(d.Packages.Look(d.t.Context(), &w))
		if w != (packages.Walk{}) {
			d.t.Errorf("there is more after %v", w)
		}
	}
	list, err := d.Packages.Dropped(d.t.Context(), packages.File{})
	d.must(err)
	for _, f := range list {
		dropped = append(dropped, f.SHA256)
	}
	return dropped
}

// A file is kept as long as a job uses it, or a frame of that job, and a day after it was sent.
func TestFilesOfPackagesAreKept(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	batch, single, gone := jobs.NewID(), jobs.NewID(), jobs.NewID()
	for _, digest := range []string{"batch", "both", "gone", "single", "unused"} {
		d.sent(digest)
	}
	d.must(d.Packages.Use(t.Context(), batch, []string{"batch", "both", "both"}))
	d.must(d.Packages.Use(t.Context(), single, []string{"single", "both"}))
	d.must(d.Packages.Use(t.Context(), gone, []string{"gone"})) // killed before the job was recorded
	for _, e := range []Entry{
		{Job: jobs.Job{ID: batch, Program: jobs.BatchProgram}},
		{Job: jobs.Job{ID: single, Program: "p"}},
		{Job: jobs.Job{ID: jobs.FrameID(batch, 1), Program: "p"}, Batch: batch, Frame: 1},
	} {
		e.Document = []byte("{}")
		_, err := d.Accept(t.Context(), []Entry{e})
		d.must(err)
	}
	want := func(digests ...string) {
		t.Helper()
		if got := d.look(); !slices.Equal(got, digests) {
			t.Errorf("dropped are %v, want %v", got, digests)
		}
	}
	want()
	d.clock.advance(packages.Grace - time.Minute)
	d.sent("unused") // is not sent again, and is kept for another day
	d.must(d.Packages.Use(t.Context(), single, []string{"single"}))
	want()
	d.clock.advance(2 * time.Minute)
	want("gone")
	d.clock.advance(packages.Grace)
	want("gone", "unused")
	d.write(qDropRow, batch)
	d.clock.advance(packages.Grace)
	want("gone", "unused") // its frame is still there
	d.write(qDropRow, single)
	want("gone", "single", "unused")
	d.write(qDropRow, jobs.FrameID(batch, 1))
	want("batch", "both", "gone", "single", "unused")
}

// A job may use only what is in the store, and the error names all that is not.
func TestMissingFilesOfPackages(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	var all, missing []string
	for i := range 450 {
		digest := fmt.Sprintf("%064d", i)
		all = append(all, digest)
		if i%50 == 0 {
			missing = append(missing, digest)
		} else {
			d.sent(digest)
		}
	}
	begun, have, err := d.Packages.Begin(t.Context(), all[0])
	if d.must(err); have {
		t.Error("a file is there that nobody has sent")
	}
	slices.Reverse(all)
	err = d.Packages.Use(t.Context(), jobs.NewID(), all)
	if m, ok := errors.AsType[*packages.Missing](err); !ok || !slices.Equal(m.Digests, missing) || !strings.HasPrefix(m.Error(), "9 of the files") {
		t.Errorf("%v", err)
	}
	if again, have, err := d.Packages.Begin(t.Context(), all[len(all)-1]); err != nil || have || again.Number != begun.Number {
		t.Errorf("two that send the same file make objects %d and %d: %v", begun.Number, again.Number, err)
	}
}

// A file that is being removed is another object than one that is sent meanwhile. What takes
// longer than a day is not recorded.
func TestFilesOfPackagesSentAgain(t *testing.T) {
	t.Parallel()
	d := newFixture(t)
	first := d.sent("a")
	slow, _, err := d.Packages.Begin(t.Context(), "b")
	d.must(err)
	d.clock.advance(packages.Grace + time.Minute)
	if got := d.look(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("dropped are %v", got)
	}
	if ok, err := d.Packages.Record(t.Context(), slow); ok || err != nil {
		t.Errorf("a dropped file is recorded: %v", err)
	}
	if _, found, err := d.Packages.Find(t.Context(), "a"); found || err != nil {
		t.Errorf("a dropped file is found: %v", err)
	}
	d.clock.advance(-2 * packages.Grace) // a clock may be set back
	second := d.sent("a")
	d.must(d.Packages.Use(t.Context(), jobs.NewID(), []string{"a"}))
	if second.Number <= first.Number {
		t.Errorf("the objects are %d and %d", first.Number, second.Number)
	}
	d.must(d.Packages.Forget(t.Context(), []packages.File{first, slow, second}))
	if f, found, err := d.Packages.Find(t.Context(), "a"); !found || err != nil || f.Number != second.Number || f.Size != 3 {
		t.Errorf("%+v, %v", f, err)
	}
	d.must(d.Packages.Drop(t.Context(), second))
	if _, found, err := d.Packages.Find(t.Context(), "a"); found || err != nil {
		t.Errorf("a damaged file is found: %v", err)
	}
}
