package store

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestSyncsAreShared checks that one sync serves all callers from before it began, and
// no later one.
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
	f, err := s.disk().enter("results/cd")
	if err != nil {
		t.Fatal(err)
	}
	defer s.disk().leave(f)
	broken := errors.New("broken")
	f.fsync = func() error { return broken }
	for range 2 {
		if err := s.Create(t.Context(), ResultKey(id1), nil); !errors.Is(err, broken) || !errors.Is(err, ErrReopen) {
			t.Errorf("Create: %v", err)
		}
	}
	// A sync that succeeds later proves nothing.
	f.fsync = func() error { return nil }
	for _, id := range []string{id1, id2} {
		if err := s.Create(t.Context(), ResultKey(id), nil); !errors.Is(err, ErrReopen) {
			t.Errorf("Create: %v", err)
		}
	}
	<-s.Failed()
}

// A file that could not be synced never becomes an object; another try writes
// another file.
func TestFileThatCannotBeSynced(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"unnamed", "temporary"} {
		s := open(t, t.TempDir())
		s.disk().unnamed = s.disk().unnamed && way == "unnamed"
		broken := errors.New("broken")
		var files []string
		s.disk().fsync = func(f *os.File) error {
			info, err := f.Stat()
			if err != nil {
				t.Error(err)
			}
			files = append(files, fmt.Sprintf("%p %d", f, info.Size()))
			if len(files) == 1 {
				return broken
			}
			return f.Sync()
		}
		if err := s.Create(t.Context(), ResultKey(id1), []byte("body")); !errors.Is(err, broken) {
			t.Errorf("%s: %v", way, err)
		}
		if _, err := s.Open(t.Context(), ResultKey(id1)); !errors.Is(err, ErrNotExist) {
			t.Errorf("%s: there is an object: %v", way, err)
		}
		if err := s.Create(t.Context(), ResultKey(id1), []byte("body")); err != nil {
			t.Errorf("%s: %v", way, err)
		}
		if len(files) != 2 || files[0] == files[1] || s.Err() != nil {
			t.Errorf("%s: synced %v, %v", way, files, s.Err())
		}
	}
}

// A temporary folder that was swept before it was locked is noticed.
func TestSweptBeforeLocked(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	if !s.disk().temp.stillThere() {
		t.Error("a folder that is there")
	}
	if err := s.disk().root.Remove(s.disk().temp.path); err != nil {
		t.Fatal(err)
	}
	if s.disk().temp.stillThere() {
		t.Error("a folder that is gone")
	}
	if err := s.disk().root.Mkdir(s.disk().temp.path, folderPerm); err != nil {
		t.Fatal(err)
	}
	if s.disk().temp.stillThere() {
		t.Error("another folder of the same name")
	}
}
