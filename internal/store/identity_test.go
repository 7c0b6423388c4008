package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestOneIdentity gives one folder identities from many stores at once: one wins, and all
// return that one.
func TestOneIdentity(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	got := make([]Identity, 8)
	var wg sync.WaitGroup
	for i := range got {
		s := open(t, dir)
		wg.Go(func() {
			var err error
			if got[i], err = s.Identify(NewIdentity("ledger2345"[:10])); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, id := range got {
		if id != got[0] || !goodID(id.Store) {
			t.Errorf("%v beside %v", id, got[0])
		}
	}
	found, err := Inspect(t.Context(), dir)
	if err != nil || found.Identity != got[0] || found.Results || found.Folder != dir {
		t.Errorf("found %+v, %v", found, err)
	}
	s := open(t, dir)
	next := NewIdentity("aaaaaaaaaa")
	if err := s.SetIdentity(next); err != nil {
		t.Fatal(err)
	}
	if id, err := s.Identity(); err != nil || id != next {
		t.Errorf("%v is not replaced: %v", id, err)
	}
	if left := tempFiles(t, s); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

// TestInspectCreatesNothing looks at folders that are absent, empty and not empty.
func TestInspectCreatesNothing(t *testing.T) {
	t.Parallel()
	absent := filepath.Join(t.TempDir(), "absent")
	if found, err := Inspect(t.Context(), absent); err != nil || found.Results || found.Identity != (Identity{}) {
		t.Errorf("absent: %+v, %v", found, err)
	}
	if _, err := os.Stat(absent); !os.IsNotExist(err) {
		t.Errorf("the folder was made: %v", err)
	}
	s := open(t, t.TempDir())
	if err := s.disk().ensure("results/00"); err != nil {
		t.Fatal(err)
	}
	if found, err := Inspect(t.Context(), s.disk().root.Name()); err != nil || found.Results {
		t.Errorf("an empty folder of results: %+v, %v", found, err)
	}
	mustCreate(t, s, ResultKey(id1), "{}")
	if found, err := Inspect(t.Context(), s.disk().root.Name()); err != nil || !found.Results {
		t.Errorf("a result: %+v, %v", found, err)
	}
}

// TestStoreKeepsToItsFolder moves the folder away and puts an empty one in its place, as
// an unmount does: the store says so, and writes nothing into the new one.
func TestStoreKeepsToItsFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "store")
	s := open(t, dir)
	id, err := s.Identify(NewIdentity("aaaaaaaaaa"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Attached(t.Context(), id); err != nil {
		t.Errorf("attached: %v", err)
	}
	if err := s.Attached(t.Context(), NewIdentity("aaaaaaaaaa")); !errors.Is(err, ErrDetached) {
		t.Errorf("with another identity: %v", err)
	}
	if err := os.Rename(dir, dir+".away"); err != nil {
		t.Fatal(err)
	}
	if err := s.Attached(t.Context(), id); !errors.Is(err, ErrDetached) {
		t.Errorf("moved away: %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := s.Attached(t.Context(), id); !errors.Is(err, ErrDetached) {
		t.Errorf("with another folder in its place: %v", err)
	}
	mustCreate(t, s, ResultKey(id1), "{}")
	if found, err := Inspect(t.Context(), dir); err != nil || found.Results {
		t.Errorf("in its place: %+v, %v", found, err)
	}
	if found, err := Inspect(t.Context(), dir+".away"); err != nil || !found.Results {
		t.Errorf("in the folder that was open: %+v, %v", found, err)
	}
}

// FuzzIdentity checks that what is read as an identity has two good ids.
func FuzzIdentity(f *testing.F) {
	for _, seed := range []string{`{"store":"aaaaaaaaaa","ledger":"bbbbbbbbbb"}`, `{"store":"a"}`, "", "null", `{"store":"../../../x","ledger":"bbbbbbbbbb"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		id, err := parseIdentity(text)
		if err == nil && (!goodID(id.Store) || !goodID(id.Ledger)) || err != nil && id != (Identity{}) {
			t.Errorf("%q is read as %+v, %v", text, id, err)
		}
		if strings.ContainsAny(id.Store+id.Ledger, "/.\x00") {
			t.Errorf("%q", id)
		}
	})
}
