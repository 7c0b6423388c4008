package queue

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// ready returns how many messages wait on the tube t of a server.
func ready(t *testing.T, p *Producer, addr string) string {
	t.Helper()
	return must[map[string]string](t)(p.TubeStats(t.Context(), addr, "t"))["current-jobs-ready"]
}

// TestCopies puts messages on several servers, then with one that is dead, that drains, and
// that hangs.
func TestCopies(t *testing.T) {
	t.Parallel()
	servers := []*queuetest.Server{queuetest.Start(t), queuetest.Start(t), queuetest.Start(t)}
	addrs := []string{servers[0].Addr, servers[1].Addr, servers[2].Addr}
	look := newProducer(t, Config{Addrs: addrs})
	two, three := newProducer(t, Config{Addrs: addrs, Copies: 2}), newProducer(t, Config{Addrs: addrs, Copies: 3})
	must[Receipt](t)(three.Put(t.Context(), Message{Tube: "t"}))
	must[[]Outcome](t)(three.PutAll(t.Context(), manyMessages(500, "t")))
	for _, addr := range addrs {
		if got := ready(t, look, addr); got != "501" {
			t.Errorf("%s has %s messages", addr, got)
		}
	}
	for name, harm := range map[string]func(){
		"dead":   servers[0].Kill,
		"drains": func() { servers[0].Restart(); servers[0].Signal(syscall.SIGUSR1) },
		"hangs":  func() { servers[0].Restart(); servers[0].Signal(syscall.SIGSTOP) },
	} {
		harm()
		must[[]Outcome](t)(two.PutAll(t.Context(), manyMessages(100, "t")))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		outcomes, err := three.PutAll(ctx, manyMessages(100, "t"))
		cancel()
		for _, o := range outcomes {
			if !errors.Is(o.Err, ErrMaybePut) || errors.Is(o.Err, ErrDraining) || o.ID != 0 || !strings.Contains(o.Err.Error(), "put on 2 of 3 servers") {
				t.Fatalf("%s: %+v", name, o)
			}
		}
		if !errors.Is(err, ErrMaybePut) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "hangs" {
			servers[0].Signal(syscall.SIGCONT)
		}
	}
	for _, addr := range addrs[1:] {
		if got := ready(t, look, addr); got != "1101" {
			t.Errorf("%s has %s messages", addr, got)
		}
	}
}

// TestNoCopyIsPut has servers of which none takes a message.
func TestNoCopyIsPut(t *testing.T) {
	t.Parallel()
	one, two := queuetest.Start(t), queuetest.Start(t)
	p := newProducer(t, Config{Addrs: []string{one.Addr, two.Addr}, Copies: 2})
	one.Signal(syscall.SIGUSR1)
	two.Signal(syscall.SIGUSR1)
	for range 3 {
		if _, err := p.Put(t.Context(), Message{Tube: "t"}); errors.Is(err, ErrMaybePut) || !errors.Is(err, ErrDraining) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := NewProducer(Config{Addrs: []string{one.Addr, one.Addr}, Copies: 2}); err == nil {
		t.Error("one server is taken for two")
	}
}

// TestTooBigForOneServer puts a message that the second server refuses for its size.
func TestTooBigForOneServer(t *testing.T) {
	t.Parallel()
	one, two := queuetest.Start(t), queuetest.Start(t, "-z", "10")
	p := newProducer(t, Config{Addrs: []string{one.Addr, two.Addr}, Copies: 2})
	if _, err := p.Put(t.Context(), Message{Tube: "t", Body: make([]byte, 11)}); !errors.Is(err, ErrMaybePut) || !errors.Is(err, ErrTooBig) {
		t.Errorf("got %v", err)
	}
}

// TestServerThatRefusesIsLeftAlone puts many messages while the first server is full, or
// drains: it is asked now and then, and used again when it takes messages.
func TestServerThatRefusesIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"OUT_OF_MEMORY\r\n", "DRAINING\r\n"} {
		var asked atomic.Int64
		var works atomic.Bool
		f := startFake(t, func(p *peer) {
			for line := p.command(); line != ""; line = p.command() {
				if line == "stats" {
					p.say(greeting)
					continue
				}
				asked.Add(1)
				if works.Load() {
					p.say("INSERTED 7\r\n")
				} else {
					p.say(answer)
				}
			}
		})
		two := queuetest.Start(t)
		p := newProducer(t, Config{Addrs: []string{f.addr, two.Addr}})
		put := func() Receipt {
			p.good.Store(0) // each looks at the full one first
			return must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
		}
		const puts = 500
		for range puts {
			if r := put(); r.Addr != two.Addr {
				t.Fatalf("put to %s", r.Addr)
			}
		}
		if n := asked.Load(); n == 0 || n > puts/10 {
			t.Errorf("asked %d times for %d puts", n, puts)
		}
		if list := must[[]Server](t)(p.Servers(t.Context())); list[0].Refused == nil || list[1].Refused != nil {
			t.Errorf("%q: %v, %v", answer, list[0].Refused, list[1].Refused)
		}
		p.good.Store(1)
		works.Store(true)
		used := false
		for end := time.Now().Add(patience); !used && time.Now().Before(end); {
			used = must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"})).Addr == f.addr // without a look at it first
		}
		if !used {
			t.Error("the server is never used again")
		}
		if list := must[[]Server](t)(p.Servers(t.Context())); list[0].Refused != nil {
			t.Errorf("still refused: %v", list[0].Refused)
		}
	}
}

// TestSlowServer sees that a server takes long to answer.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	one, two := queuetest.StartProxy(t, queuetest.Start(t).Addr), queuetest.Start(t)
	p := newProducer(t, Config{Addrs: []string{one.Addr, two.Addr}})
	must[[]Server](t)(p.Servers(t.Context()))
	one.Latency(2 * leastSilence)
	if list := must[[]Server](t)(p.Servers(t.Context())); !list[0].Slow {
		t.Errorf("got %+v", list[0])
	}
}
