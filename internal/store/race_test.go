package store

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// However many create an object at once, exactly one wins and the others know.
func TestOneWriterWins(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stores := []*Store{open(t, dir), open(t, dir)} // as two processes would have it
	stores[1].disk().unnamed = false
	for round := range 8 {
		key := FileKey(id1, round, "x")
		var wins atomic.Int32
		var winner atomic.Value
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				data := strings.Repeat(fmt.Sprint(w%10), 1000+w)
				err := stores[w%2].Create(t.Context(), key, []byte(data))
				switch {
				case err == nil:
					wins.Add(1)
					winner.Store(data)
				case !errors.Is(err, ErrExists):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("%d writers won", wins.Load())
		}
		if content(t, stores[0], key) != winner.Load() {
			t.Error("the object is not the winner's")
		}
	}
	if left := tempFiles(t, stores[0]); len(left) > 0 {
		t.Errorf("temporary files are left: %v", left)
	}
}

// Replace never shows anything but one whole version.
func TestReplaceWhileReading(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	key := LogKey(id1, 1)
	if err := s.Replace(t.Context(), key, []byte(strings.Repeat("a", 9000))); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 25 {
				text := strings.Repeat(string(rune('a'+w)), 9000+i)
				if err := s.Replace(t.Context(), key, []byte(text)); err != nil {
					t.Error(err)
				}
				if got := content(t, s, key); strings.Trim(got, got[:1]) != "" || len(got) < 9000 {
					t.Errorf("mixed content of %d bytes", len(got))
				}
			}
		})
	}
	wg.Wait()
}
