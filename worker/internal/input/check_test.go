package input

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

// TestWaitForMemoryIsNoTimeOfTheCheck makes an attempt wait for memory for longer than
// its timeout.
func TestWaitForMemoryIsNoTimeOfTheCheck(t *testing.T) {
	t.Parallel()
	schema, err := validate.Compile([]byte(`{"type":"integer"}`))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(`"text"`), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	synctest.Test(t, func(t *testing.T) {
		fetcher := NewFetcher(Config{})
		r := &Request{Schema: schema, Budget: &strictjson.Budget{Limit: time.Minute}}
		others, checked := int64(maxChecked), make(chan error)
		if !fetcher.checks.TryAcquire(others) {
			t.Fatal("the memory is taken")
		}
		go func() { checked <- fetcher.check(t.Context(), r, &Stdin{File: f}) }()
		time.Sleep(time.Hour) // of the clock of synctest
		synctest.Wait()
		select {
		case err := <-checked:
			t.Fatalf("it ends before it has the memory: %v", err)
		default:
		}
		fetcher.checks.Release(others)
		if _, wrong := errors.AsType[*validate.Mismatch](<-checked); !wrong {
			t.Error("the input is not checked")
		}
		if r.Budget.Used != 0 || !fetcher.checks.TryAcquire(others) {
			t.Errorf("the check took %s, or keeps memory", r.Budget.Used)
		}
	})
}
