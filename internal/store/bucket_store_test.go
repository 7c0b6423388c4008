package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/runnerbean/runnerbean/internal/store/bucket/buckettest"
	"github.com/runnerbean/runnerbean/internal/store/readcache"
)

// everyStore runs a test on a store of each kind. A bucket is there without and with copies.
func everyStore(t *testing.T, test func(t *testing.T, url string, open opener)) {
	t.Run("folder", func(t *testing.T) { test(t, t.TempDir(), open) })
	servers := map[string]func(t *testing.T) string{"bucket": func(t *testing.T) string { return buckettest.Start(t).URL }}
	if binary := os.Getenv("STORE_TEST_VERSITYGW"); binary != "" {
		servers["versitygw"] = func(t *testing.T) string { return buckettest.Real(t, binary) }
	}
	for name, start := range servers {
		t.Run(name, func(t *testing.T) { test(t, start(t), open) })
		t.Run(name+" with copies", func(t *testing.T) { test(t, start(t), openWithCopies) })
	}
}

type opener func(t testing.TB, url string) *Store

func openWithCopies(t testing.TB, url string) *Store {
	s := open(t, url)
	err := s.KeepCopies(readcache.Config{Folder: t.TempDir(), Limit: 1 << 20, Room: func() int64 { return 1 << 40 }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEveryStore(t *testing.T) {
	everyStore(t, func(t *testing.T, url string, open opener) {
		s := open(t, url)
		id := uuid.NewString()
		key := ResultKey(id)
		if _, err := s.Open(t.Context(), key); !errors.Is(err, ErrNotExist) {
			t.Errorf("open what is not there: %v", err)
		}
		mustCreate(t, s, key, "first")
		if err := s.Create(t.Context(), key, []byte("second")); !errors.Is(err, ErrExists) {
			t.Errorf("create twice: %v", err)
		}
		for range 4 { // from the store, while it is copied, and from the copy
			if got := string(content(t, s, key)); got != "first" {
				t.Errorf("the object is %q", got)
			}
		}
		if n, err := s.CreateFrom(t.Context(), FileKey(id, 1, "Ä/B"), Bounded(strings.NewReader("123456"), 6)); n != 6 || err != nil {
			t.Error(n, err)
		}
		if _, err := s.CreateFrom(t.Context(), FileKey(id, 1, "large"), Bounded(strings.NewReader("1234567"), 6)); !errors.Is(err, ErrTooBig) {
			t.Errorf("create of too much: %v", err)
		}
		for _, text := range []string{"one", "two, longer"} {
			if err := s.Replace(t.Context(), LogKey(id, 1), []byte(text)); err != nil {
				t.Fatal(err)
			}
			if got := string(content(t, s, LogKey(id, 1))); got != text {
				t.Errorf("the log is %q", got)
			}
		}
		for _, bad := range []string{"x", "../x/y", "tmp/x", "a/B"} {
			if err := s.Replace(t.Context(), bad, nil); !errors.Is(err, ErrKey) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		if _, err := s.Open(t.Context(), key); !errors.Is(err, ErrNotExist) {
			t.Errorf("deleted: %v", err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Create(ended, key, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if s.Err() != nil {
			t.Error(s.Err())
		}
	})
}

func TestEveryStoreRemovesJobs(t *testing.T) {
	everyStore(t, func(t *testing.T, url string, open opener) {
		s := open(t, url)
		removed := JobObjects{ID: uuid.NewString(), Attempts: 2}
		kept := JobObjects{ID: uuid.NewString()[:34] + removed.ID[34:], Attempts: 1} // in the same folders
		for _, j := range []JobObjects{removed, kept} {
			mustCreate(t, s, ResultKey(j.ID), "12")
			mustCreate(t, s, AsideKey(j.ID, 1), "12")
			for n := range 5 {
				mustCreate(t, s, FileKey(j.ID, 1, fmt.Sprint("file", n)), "1234")
			}
			for _, k := range []string{LogKey(j.ID, 1), SeriesKey(j.ID, 1), OutputKey(j.ID, 1)} {
				if err := s.Replace(t.Context(), k, []byte("123")); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 2 { // it can be repeated
			if err := s.RemoveJobs(t.Context(), []JobObjects{removed, {ID: "x/y"}}); err != nil {
				t.Fatal(err)
			}
		}
		for j, want := range map[JobObjects]int64{removed: 0, kept: 2 + 2 + 20 + 9} {
			if n, err := s.JobSize(t.Context(), j); n != want || err != nil {
				t.Errorf("%d bytes, want %d: %v", n, want, err)
			}
		}
	})
}

func TestEveryStoreHasAnIdentity(t *testing.T) {
	everyStore(t, func(t *testing.T, url string, open opener) {
		a, b := open(t, url), open(t, url)
		if id, err := a.Identity(); id != (Identity{}) || err != nil {
			t.Fatal(id, err)
		}
		found, err := Inspect(t.Context(), url)
		if err != nil || found.Identity != (Identity{}) || found.Results || found.Restoring || found.Folder == "" {
			t.Fatalf("%+v, %v", found, err)
		}
		first, second := NewIdentity("aaaaaaaaaa"), NewIdentity("bbbbbbbbbb")
		var got [2]Identity
		var wg sync.WaitGroup
		for i, s := range []*Store{a, b} {
			wg.Go(func() {
				var err error
				if got[i], err = s.Identify([]Identity{first, second}[i]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got[0] != got[1] || got[0] != first && got[0] != second {
			t.Fatalf("two identities: %+v", got)
		}
		if err := a.Attached(t.Context(), got[0]); err != nil {
			t.Error(err)
		}
		id, other := uuid.NewString(), uuid.NewString()
		mustCreate(t, a, ResultKey(id), "{}")
		found, err = Inspect(t.Context(), url)
		if err != nil || found.Identity != got[0] || !found.Results {
			t.Errorf("%+v, %v", found, err)
		}
		if n, err := Missing(t.Context(), url, []string{id, other}); n != 1 || err != nil {
			t.Error(n, err)
		}
		now := NewIdentity("cccccccccc")
		if err := b.SetIdentity(now); err != nil {
			t.Fatal(err)
		}
		if id, err := a.Identity(); id != now || err != nil {
			t.Error(id, err)
		}
		if err := a.Attached(t.Context(), got[0]); err == nil || !strings.Contains(err.Error(), "has changed") {
			t.Error(err)
		}
	})
}

// TestBucketAway has a server that answers nothing but refusals.
func TestBucketAway(t *testing.T) {
	server := buckettest.Start(t)
	s := open(t, server.URL)
	id, err := s.Identify(NewIdentity("aaaaaaaaaa"))
	if err != nil {
		t.Fatal(err)
	}
	server.Fault = func(*http.Request) buckettest.Fault {
		return buckettest.Fault{Status: http.StatusForbidden, Code: "AccessDenied"}
	}
	if err := s.Attached(t.Context(), id); err == nil || !strings.Contains(err.Error(), "permission") {
		t.Error(err)
	}
	if _, err := Inspect(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), "permission") {
		t.Error(err)
	}
	if _, err := Missing(t.Context(), server.URL, []string{uuid.NewString()}); err == nil || !strings.Contains(err.Error(), "permission") {
		t.Error(err)
	}
	server.Fault = func(*http.Request) buckettest.Fault {
		return buckettest.Fault{Status: http.StatusInsufficientStorage, Code: "XMinioStorageFull"}
	}
	if err := s.Create(t.Context(), ResultKey(uuid.NewString()), nil); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	server.Fault = func(*http.Request) buckettest.Fault {
		return buckettest.Fault{Status: http.StatusServiceUnavailable, Code: "SlowDown"}
	}
	if _, err := s.Open(t.Context(), ResultKey(uuid.NewString())); !errors.Is(err, ErrAway) {
		t.Error(err)
	}
	if err := s.Attached(t.Context(), id); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
	server.Fault = nil
	if err := s.Replace(t.Context(), "identities/x", nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pool/identities/x", "pool/identity"}, server.Keys()); diff != "" {
		t.Error(diff)
	}
}
