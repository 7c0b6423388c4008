package retention

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/packages"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestFilesOfPackagesAreRemoved removes the files that only a deleted job used, after the job and
// not before, and those of an upload that was killed. Others stay.
func TestFilesOfPackagesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := newPlace(t, dir, 0)
	ctx := t.Context()
	files := map[string]packages.File{}
	for i, name := range []string{"one", "both", "unsent"} {
		f, _, err := p.ledger.Packages.Begin(ctx, strings.Repeat(string(rune('a'+i)), 64))
		p.must(err)
		p.must(p.store.Create(ctx, store.PackageKey(f.SHA256, f.Number), []byte("x")))
		if files[name] = f; name == "unsent" { // whose node was killed here
			continue
		}
		ok, err := p.ledger.Packages.Record(ctx, f)
		if p.must(err); !ok {
			t.Fatal("a file is not recorded")
		}
	}
	submit := func(names ...string) string {
		j := jobs.Job{ID: jobs.NewID(), Program: jobs.BatchProgram}
		for _, name := range names {
			p.must(p.ledger.Packages.Use(ctx, j.ID, []string{files[name].SHA256}))
		}
		_, err := p.ledger.Accept(ctx, []ledger.Entry{{Job: j, Document: []byte("{}"), Fault: &jobs.Error{Class: jobs.ClassDocument}}})
		p.must(err)
		return j.ID
	}
	first, second := submit("one", "both"), submit("both")
	there := func(want ...string) {
		t.Helper()
		for name, f := range files {
			_, err := os.Stat(filepath.Join(dir, "store", store.PackageKey(f.SHA256, f.Number)))
			if got := err == nil; got != strings.Contains(strings.Join(want, " "), name) {
				t.Errorf("%s: there %t, want %v", name, got, want)
			}
		}
	}
	rounds := func() {
		t.Helper()
		for range 3 {
			p.must(p.loop("").Round(ctx))
		}
	}
	remove := func(id string) {
		t.Helper()
		acted, err := p.ledger.Act(ctx, ledger.VerbDelete, "", []ledger.Target{{ID: id}})
		p.must(errors.Join(err, acted[0].Err))
	}
	rounds()
	there("one", "both", "unsent")
	p.close()
	p = newPlace(t, dir, 2*packages.Grace)
	rounds()
	there("one", "both")
	remove(first)

	// An object that cannot be removed is left for a later round.
	stuck := filepath.Join(dir, "store", store.PackageKey(files["one"].SHA256, files["one"].Number))
	p.must(os.Remove(stuck))
	p.must(os.MkdirAll(filepath.Join(stuck, "x"), 0o700))
	l := p.loop("")
	if err := errors.Join(l.Round(ctx), l.Round(ctx)); err == nil {
		t.Error("nothing says that an object cannot be removed")
	}
	p.must(os.RemoveAll(stuck))
	rounds()
	there("both")
	remove(second)
	rounds()
	there()
	if list, err := p.ledger.Packages.Dropped(ctx, packages.File{}); err != nil || len(list) > 0 {
		t.Errorf("rows are left: %v, %v", list, err)
	}
}
