package store

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// One sync serves all who asked before it began, and nobody who asked later.
func TestSyncsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var syncs, returned atomic.Int32
		disk := make(chan error)
		f := &folder{syncing: make(chan struct{}, 1), fsync: func() error { syncs.Add(1); return <-disk }}
		call := func(want error) {
			if err := f.sync(); !errors.Is(err, want) {
				t.Errorf("sync: %v, want %v", err, want)
			}
			returned.Add(1)
		}
		broken := errors.New("broken")
		go call(nil)
		synctest.Wait()
		for range 10 {
			go call(broken)
		}
		synctest.Wait()
		if syncs.Load() != 1 || returned.Load() != 0 {
			t.Errorf("during the first sync: %d begun, %d returned", syncs.Load(), returned.Load())
		}
		disk <- nil
		synctest.Wait()
		if syncs.Load() != 2 || returned.Load() != 1 {
			t.Errorf("during the second sync: %d begun, %d returned", syncs.Load(), returned.Load())
		}
		disk <- broken
		synctest.Wait()
		if syncs.Load() != 2 || returned.Load() != 11 {
			t.Errorf("at the end: %d begun, %d returned", syncs.Load(), returned.Load())
		}
	})
}

// An object whose folder could not be synced is not reported as safe, neither to
// the one who made it nor to one who finds it there.
func TestFolderThatCannotBeSynced(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	f, err := s.enter("results/cd")
	if err != nil {
		t.Fatal(err)
	}
	defer s.leave(f)
	broken := errors.New("broken")
	f.fsync = func() error { return broken }
	for range 2 {
		if err := s.Create(t.Context(), ResultKey(id1), nil); !errors.Is(err, broken) {
			t.Errorf("Create: %v", err)
		}
	}
}

// A temporary folder that was swept before it was locked is noticed.
func TestSweptBeforeLocked(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if !s.temp.stillThere() {
		t.Error("a folder that is there")
	}
	if err := s.root.Remove(s.temp.path); err != nil {
		t.Fatal(err)
	}
	if s.temp.stillThere() {
		t.Error("a folder that is gone")
	}
	if err := s.root.Mkdir(s.temp.path, folderPerm); err != nil {
		t.Fatal(err)
	}
	if s.temp.stillThere() {
		t.Error("another folder of the same name")
	}
}
