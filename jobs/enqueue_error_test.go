package jobs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// TestPutErrors checks that an error says whether the job may have been put, and why.
func TestPutErrors(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	for name, test := range map[string]struct {
		ctx       context.Context
		cause     error
		class     error
		is, isNot []error
	}{
		"too big":     {t.Context(), fmt.Errorf("x: %w", queue.ErrTooBig), ErrNotPut, []error{ErrTooBig}, []error{ErrFull}},
		"overloaded":  {late, queue.ErrOverloaded, ErrNotPut, []error{ErrOverloaded, context.DeadlineExceeded}, []error{context.Canceled}},
		"answer lost": {ended, fmt.Errorf("%w: %w", queue.ErrMaybePut, errors.New("reset")), ErrMaybePut, []error{context.Canceled}, []error{ErrOverloaded}},
		"two servers": {t.Context(), errors.Join(queue.ErrDraining, queue.ErrFull), ErrNotPut, []error{ErrDraining, ErrFull}, []error{ErrClosed}},
		"one of two":  {t.Context(), errors.Join(queue.ErrDraining, queue.ErrMaybePut), ErrMaybePut, []error{ErrDraining}, nil},
	} {
		err := enqueueFailed(test.ctx, "an-id", test.cause)
		other := map[error]error{ErrNotPut: ErrMaybePut, ErrMaybePut: ErrNotPut}[test.class]
		if !errors.Is(err, test.class) || errors.Is(err, other) || errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "job an-id: ") {
			t.Errorf("%s: %v, want %v", name, err, test.class)
		}
		for _, want := range test.is {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v is not %v", name, err, want)
			}
		}
		for _, not := range test.isNot {
			if errors.Is(err, not) {
				t.Errorf("%s: %v is %v", name, err, not)
			}
		}
	}
}

// TestATimeoutOfADialIsNoDeadline: package net says that its own timeouts are
// context.DeadlineExceeded, also where the caller has set no deadline.
func TestATimeoutOfADialIsNoDeadline(t *testing.T) {
	t.Parallel()
	_, err := (&net.Dialer{Timeout: time.Nanosecond}).Dial("tcp", "127.0.0.1:1")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("package net says %v", err)
	}
	put := enqueueFailed(context.Background(), "an-id", err)
	if errors.Is(put, context.DeadlineExceeded) {
		t.Errorf("%v is a deadline", put)
	}
	if _, ok := errors.AsType[*net.OpError](put); !ok {
		t.Errorf("%v is no net.OpError", put)
	}
}
