package readmodel

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// A reading serves all who ask at the same time, and outlives the first of them.
func TestReadingsAreShared(t *testing.T) {
	t.Parallel()
	var r FlightCache[int]
	begun, end := make(chan struct{}), make(chan struct{})
	n := 0
	read := func(ctx context.Context) (int, error) {
		n++
		close(begun)
		<-end
		return n, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	answers := make(chan error, 8)
	ask := func() {
		v, err := r.get(ctx, "k", time.Hour, read)
		if err == nil && v != 1 {
			err = fmt.Errorf("answer %d", v)
		}
		answers <- err
	}
	go ask()
	<-begun
	cancel()
	for range 7 {
		go ask()
	}
	close(end)
	for range 8 {
		if err := <-answers; err != nil {
			t.Error(err)
		}
	}
	r.forget()
	if _, ok, _ := r.fresh("k"); ok {
		t.Error("it is remembered")
	}
	for i := range 3 * maxReadings {
		if _, err := r.get(t.Context(), fmt.Sprint(i), time.Hour, func(context.Context) (int, error) { return i, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.kept) > maxReadings {
		t.Errorf("%d are kept", len(r.kept))
	}
}

// TestAReadingFromBeforeAChangeIsNotKept checks that a reading that was running during a
// change serves only the callers from before the change.
func TestAReadingFromBeforeAChangeIsNotKept(t *testing.T) {
	t.Parallel()
	var r FlightCache[string]
	begun, end := make(chan struct{}), make(chan struct{})
	first := make(chan string, 1)
	go func() {
		v, _ := r.get(t.Context(), "k", time.Hour, func(context.Context) (string, error) {
			close(begun)
			<-end
			return "before", nil
		})
		first <- v
	}()
	<-begun
	r.forget()
	after := func(context.Context) (string, error) { return "after", nil }
	second := make(chan string, 1)
	go func() {
		v, _ := r.get(t.Context(), "k", 0, after)
		second <- v
	}()
	select {
	case v := <-second:
		if v != "after" {
			t.Errorf("while the old reading is under way: %q", v)
		}
	case <-time.After(20 * time.Second):
		t.Error("who asks after the change waits for the old reading")
	}
	close(end)
	if v := <-first; v != "before" {
		t.Errorf("who asked before got %q", v)
	}
	if v, err := r.get(t.Context(), "k", time.Hour, after); v != "after" || err != nil {
		t.Errorf("when the old reading has ended: %q, %v", v, err)
	}
}

func TestFailedReadingsAreNotKept(t *testing.T) {
	t.Parallel()
	var r FlightCache[int]
	broken := errors.New("broken")
	if _, err := r.get(t.Context(), "k", time.Hour, func(context.Context) (int, error) { return 7, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
	if v, err := r.get(t.Context(), "k", time.Hour, func(context.Context) (int, error) { return 8, nil }); v != 8 || err != nil {
		t.Error(v, err)
	}
}
