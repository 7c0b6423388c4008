package queue

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// TestFirst peeks at both states of a tube. A body over the limit is not mistaken for an
// empty one.
func TestFirst(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p, err := NewProducer(Config{Addrs: []string{server.Addr}, MaxBody: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	roomy, err := NewProducer(Config{Addrs: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer roomy.Close()
	for _, m := range []Message{{Tube: "a", Body: []byte("now")}, {Tube: "a", Body: []byte("later"), Delay: time.Hour}, {Tube: "b", Body: bytes.Repeat([]byte("x"), 101)}} {
		if _, err := roomy.Put(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		for state, want := range map[TubeState]string{Ready: "now", Delayed: "later"} {
			if id, body, err := p.First(t.Context(), server.Addr, "a", state); id == 0 || string(body) != want || err != nil {
				t.Errorf("%d %q %v, want %q", id, body, err, want)
			}
		}
		if _, body, err := p.First(t.Context(), server.Addr, "b", Ready); !errors.Is(err, ErrTooBig) || body != nil {
			t.Errorf("%q %v", body, err)
		}
		if _, _, err := p.First(t.Context(), server.Addr, "b", Delayed); !errors.Is(err, ErrGone) {
			t.Error(err)
		}
	}
	if _, _, err := p.First(t.Context(), server.Addr, "c d", Ready); !errors.Is(err, ErrTube) {
		t.Error(err)
	}
}
