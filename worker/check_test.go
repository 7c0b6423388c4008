package worker

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestWaitForMemoryIsNoTimeOfTheCheck has an attempt wait for longer than it may
// take until others give memory back.
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
		w := &Worker{checks: semaphore.NewWeighted(maxChecked)}
		a := &attempt{Worker: w, program: &program{}, job: jobs.Job{Timeout: jobs.Duration(time.Minute)}}
		a.program.manifest.input = schema
		others, checked := int64(maxChecked), make(chan error)
		if !w.checks.TryAcquire(others) {
			t.Fatal("the memory is taken")
		}
		go func() { checked <- a.checkInput(t.Context(), &input{file: f}) }()
		time.Sleep(time.Hour) // of the clock of synctest
		synctest.Wait()
		select {
		case err := <-checked:
			t.Fatalf("it ends before it has the memory: %v", err)
		default:
		}
		w.checks.Release(others)
		if _, wrong := errors.AsType[*validate.Mismatch](<-checked); !wrong {
			t.Error("the input is not checked")
		}
		if a.checked != 0 || !w.checks.TryAcquire(others) {
			t.Errorf("the check took %s, or keeps memory", a.checked)
		}
	})
}
