package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestMeasureFindsWhatIsThere has objects in all folders, half of them old.
func TestMeasureFindsWhatIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		jobs  int
		exact bool
	}{"few": {3, true}, "many": {5120, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			old := time.Now().Add(-48 * time.Hour)
			for n := range c.jobs {
				// The last two digits of the id choose the folder.
				id := fmt.Sprintf("01990000-0000-7000-8000-%010x%02x", n, n%256)
				path := filepath.Join(dir, ResultKey(id))
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
					t.Fatal(err)
				}
				if n/256%2 == 0 && c.jobs > 256 || n == 0 {
					if err := os.Chtimes(path, old, old); err != nil {
						t.Fatal(err)
					}
				}
			}
			u, err := Measure(t.Context(), dir, time.Now().Add(-24*time.Hour))
			if err != nil || len(u.Kinds) != 1 || u.Exact != c.exact {
				t.Fatalf("%+v, %v", u, err)
			}
			wantOld := int64(100)
			if !c.exact {
				wantOld = int64(c.jobs) * 100 / 2
			}
			if k := u.Kinds[0]; k.Kind != "results" || k.Bytes != int64(c.jobs)*100 || k.Old != wantOld {
				t.Errorf("%+v, want %d and %d of them old", k, c.jobs*100, wantOld)
			}
			if len(u.Sample) == 0 {
				t.Error("no job was measured")
			}
		})
	}
}

func TestMeasureOfAFullFolderTakesASample(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder := filepath.Join(dir, "logs", "aa")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	const n = 3 * maxStats
	for i := range n {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("%d.1.log", i)), make([]byte, 10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	u, err := Measure(t.Context(), dir, time.Time{})
	if err != nil || u.Exact || len(u.Kinds) != 1 || u.Kinds[0].Bytes != 10*n || len(u.Sample) > maxStats {
		t.Errorf("%+v of %d jobs, %v; want %d bytes", u.Kinds, len(u.Sample), err, 10*n)
	}
}

func TestMeasureOfNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	u, err := Measure(ctx, filepath.Join(t.TempDir(), "none"), time.Now())
	if err != nil || len(u.Kinds) > 0 || !u.Exact {
		t.Errorf("%+v, %v", u, err)
	}
	cancel()
	if _, err := Measure(ctx, t.TempDir(), time.Now()); err != nil {
		t.Error(err)
	}
}

func TestJobSize(t *testing.T) {
	t.Parallel()
	s, err := Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id := "01990000-0000-7000-8000-000000000001"
	keys := objectsOf(t, s, id, 2)
	objectsOf(t, s, "01990000-0000-7000-8000-000000000101", 1)
	if n, err := s.JobSize(t.Context(), JobObjects{ID: id, Attempts: 2}); err != nil || n != int64(len(keys)) {
		t.Errorf("%d bytes, %v; want %d", n, err, len(keys))
	}
}
