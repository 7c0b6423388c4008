package trouble

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
)

// newTrouble returns a Trouble that waits for 1, 2, 4 … 60 s, and what OnChange got.
func newTrouble() (*Trouble, *[]bool) {
	var changes []bool
	return New(Config{
		Node: "n1", Backoff: retry.Backoff{Base: time.Second, Max: time.Minute, Jitter: func() float64 { return 1 }},
		OnChange: func(in bool) { changes = append(changes, in) }, Logger: slog.New(slog.DiscardHandler),
	}), &changes
}

func TestThreeFaultsInARowAreTroubleUntilAJobRuns(t *testing.T) {
	t.Parallel()
	trouble, changes := newTrouble()
	began := time.Now()
	for range 2 {
		trouble.Fault(began, "no scratch folder")
	}
	trouble.Success(began)
	for range 2 {
		trouble.Fault(began, "no scratch folder")
	}
	if s := trouble.State(); s != nil {
		t.Fatalf("in trouble after two faults in a row: %+v", s)
	}
	trouble.Fault(began, "no \x1b[31mscratch folder")
	s := trouble.State()
	if s == nil || s.Faults != 3 || s.Since.IsZero() || s.Reason != "no scratch folder" {
		t.Fatalf("after three faults: %+v", s)
	}
	trouble.Success(began)
	if trouble.State() == nil {
		t.Error("a job that began before the trouble ends it")
	}
	trouble.Success(time.Now())
	if s := trouble.State(); s != nil {
		t.Errorf("a job has run, and still %+v", s)
	}
	if !slices.Equal(*changes, []bool{true, false}) {
		t.Errorf("changes %v", *changes)
	}
}

func TestTriesAreApartUpToAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		trouble, _ := newTrouble()
		for range 100 { // all began before the trouble
			trouble.Fault(time.Now().Add(-time.Hour), "no scratch folder")
		}
		var waits []time.Duration
		for range 9 {
			before := time.Now()
			done, ok := trouble.Try(t.Context())
			if !ok {
				t.Fatal("no try")
			}
			waits = append(waits, time.Since(before))
			trouble.Fault(time.Now(), "no scratch folder")
			done()
		}
		for i, want := range []int{1, 2, 4, 8, 16, 32, 60, 60, 60} {
			if waits[i] != time.Duration(want)*time.Second {
				t.Errorf("the waits are %v", waits)
				break
			}
		}
	})
}

func TestOneExecutorTriesAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		trouble, _ := newTrouble()
		for range limit {
			trouble.Fault(time.Now(), "no scratch folder")
		}
		done, ok := trouble.Try(t.Context())
		if !ok {
			t.Fatal("no try")
		}
		short, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, ok := trouble.Try(short); ok {
			t.Error("two executors try at one time")
		}
		done() // without a verdict
		before := time.Now()
		done, ok = trouble.Try(t.Context())
		if waited := time.Since(before); !ok || waited != time.Second {
			t.Errorf("the next try comes after %v", waited)
		}
		done()
	})
}
