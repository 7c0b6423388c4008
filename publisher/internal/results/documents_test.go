package results

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// newStored returns documents over a store with one result of a size.
func newStored(t *testing.T, size int) (*Documents, string) {
	t.Helper()
	s, err := store.Open(context.Background(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	id := jobs.NewID()
	body := fmt.Sprintf(`{"id":%q,"state":"succeeded","result":%q}`, id, strings.Repeat("x", size))
	if err := s.Create(t.Context(), store.ResultKey(id), []byte(body)); err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return NewDocuments(Config{Ledger: l, Store: s, CacheControl: httpio.Immutable, CacheBytes: 64 << 20}), id
}

func TestOneReadingForMany(t *testing.T) {
	t.Parallel()
	d, id := newStored(t, 100)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			s, err := d.stored(t.Context(), id)
			if err != nil || s.blob == nil || !bytes.Contains(s.blob.Body(), []byte(id)) {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	all.Wait()
	if n := d.cache.recent.Len(); n != 1 {
		t.Errorf("%d entries", n)
	}
}

func TestLargeResultIsNotCached(t *testing.T) {
	t.Parallel()
	d, id := newStored(t, maxCached)
	s, err := d.stored(t.Context(), id)
	if err != nil || s.blob != nil || s.size < maxCached || d.cache.get(id) != s || d.cache.used > 4096 {
		t.Errorf("%+v, %v; %d bytes in the cache", s, err, d.cache.used)
	}
}
