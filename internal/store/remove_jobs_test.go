package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// objectsOf creates an object of each kind for a job with several attempts.
func objectsOf(t *testing.T, s *Store, id string, attempts int) (keys []string) {
	t.Helper()
	keys = []string{ResultKey(id)}
	for n := 1; n <= attempts; n++ {
		keys = append(keys, LogKey(id, n), SeriesKey(id, n), OutputKey(id, n), AsideKey(id, n), FileKey(id, n, "plot.png"), FileKey(id, n, "deep/Folder x"), CheckpointKey(id, n, n))
	}
	for _, key := range keys {
		if err := s.Create(t.Context(), key, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	return keys
}

// left returns the keys of all objects of a store.
func left(t *testing.T, dir string) (n int) {
	t.Helper()
	for _, kind := range Kinds {
		err := filepath.WalkDir(filepath.Join(dir, kind), func(_ string, e fs.DirEntry, err error) error {
			if err == nil && !e.IsDir() {
				n++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func TestRemoveJobsLeavesNothingOfAJobAndAllOfTheOthers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := func(n int) string { return fmt.Sprintf("01990000-0000-7000-8000-%012d", n) }
	var gone []JobObjects
	var kept []string
	for n := range 20 {
		keys := objectsOf(t, s, id(n), 1+n%3)
		if n%2 == 0 {
			gone = append(gone, JobObjects{id(n), 1 + n%3})
		} else {
			kept = append(kept, keys...)
		}
	}
	gone = append(gone, JobObjects{ID: "x"}, JobObjects{ID: "../../results"}, JobObjects{ID: id(99), Attempts: 3})
	for range 2 { // the second time there is nothing to do
		if err := s.RemoveJobs(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if n := left(t, dir); n != len(kept) {
		t.Errorf("%d objects are left, want %d", n, len(kept))
	}
	for _, key := range kept {
		o, err := s.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		_ = o.Close()
	}
}

func TestRemoveJobsTellsWhatItCannotRemove(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := "01990000-0000-7000-8000-000000000001"
	path := filepath.Join(dir, ResultKey(id))
	if err := os.MkdirAll(filepath.Join(path, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveJobs(t.Context(), []JobObjects{{ID: id, Attempts: 1}}); err == nil {
		t.Error("a folder in the place of a result was removed")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.RemoveJobs(ctx, []JobObjects{{ID: id}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
}
