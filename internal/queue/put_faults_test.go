package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// patience bounds waits for what a busy machine may delay.
const patience = 20 * time.Second

// twoServers starts two servers, each behind a proxy.
func twoServers(t *testing.T) (one, two *queuetest.Proxy, cfg Config) {
	t.Helper()
	one = queuetest.StartProxy(t, queuetest.Start(t).Addr)
	two = queuetest.StartProxy(t, queuetest.Start(t).Addr)
	return one, two, Config{Addrs: []string{one.Addr, two.Addr}, Timeout: time.Hour}
}

// A server that accepts connections and never answers does not hold up callers, whether it
// hangs from the start or in the midst of puts.
func TestHungServerBesideAHealthyOne(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"at first", "later"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			one, two, cfg := twoServers(t)
			p := newProducer(t, cfg)
			if when == "later" {
				must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
			}
			one.Hang()
			defer one.Resume()
			const callers, puts = 20, 200
			var todo, put atomic.Int64
			var all sync.WaitGroup
			for range callers {
				all.Go(func() {
					for todo.Add(1) <= puts {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						if _, err := p.Put(ctx, Message{Tube: "t", Body: document}); err != nil {
							t.Error(err)
						} else {
							put.Add(1)
						}
						cancel()
					}
				})
			}
			all.Wait()
			if put.Load() != puts || two.Counts().Puts < puts-callers {
				t.Errorf("%d of %d were put", put.Load(), puts)
			}
			outcomes := must[[]Outcome](t)(p.PutAll(t.Context(), manyMessages(100, "t")))
			if outcomes[99].Addr != two.Addr {
				t.Errorf("outcome %+v", outcomes[99])
			}
			one.Resume()
			two.Refuse()
			putUntilPut(t, p, one.Addr)
			two.Resume()
		})
	}
}

// putUntilPut puts until a server accepts it.
func putUntilPut(t *testing.T, p *Producer, addr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		r, err := p.Put(ctx, Message{Tube: "t"})
		if err == nil && r.Addr == addr {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("put to %+v, %v", r, err)
		}
	}
}

// A server that fails is tried now and then, not by each put, and is used again when it
// works.
func TestFailedServerIsSkipped(t *testing.T) {
	t.Parallel()
	var accepted atomic.Int64
	broken := startRaw(t, func(*peer) { accepted.Add(1) })
	two := queuetest.Start(t)
	p := newProducer(t, Config{Addrs: []string{broken.addr, two.Addr}})
	const puts = 500
	for range puts {
		p.good.Store(0) // each looks at the failed one first
		must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	}
	if n := accepted.Load(); n == 0 || n > puts/10 {
		t.Errorf("%d connections for %d puts", n, puts)
	}
	two.Kill()
	err := ErrMaybePut // a put may be sent before the end of its connection is noticed
	for end := time.Now().Add(patience); errors.Is(err, ErrMaybePut) && time.Now().Before(end); {
		_, err = p.Put(t.Context(), Message{Tube: "t"})
	}
	if err == nil || errors.Is(err, ErrMaybePut) {
		t.Errorf("without a server: %v", err)
	}
	two.Restart()
	putUntilPut(t, p, two.Addr)
}

// Each error says what is known of the message.
func TestPutErrors(t *testing.T) {
	t.Parallel()
	silent := startFake(t, (*peer).hang)
	hung := startRaw(t, (*peer).hang)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := gone.Addr().String()
	gone.Close()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	short := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(t.Context(), 50*time.Millisecond)
	}
	forever := func() (context.Context, context.CancelFunc) { return context.Background(), func() {} }
	tests := map[string]struct {
		cfg   Config
		ctx   func() (context.Context, context.CancelFunc)
		want  []error
		never []error
	}{
		"sent, and no answer in time": {
			Config{Addrs: []string{silent.addr}},
			short,
			[]error{ErrMaybePut, context.DeadlineExceeded},
			[]error{ErrOverloaded},
		},
		"connection in time, and no answer": {
			Config{Addrs: []string{hung.addr}},
			short,
			[]error{context.DeadlineExceeded},
			[]error{ErrMaybePut, ErrOverloaded},
		},
		"no connection in time": {
			Config{Addrs: []string{refused}, DialTimeout: 1},
			forever,
			nil,
			[]error{ErrMaybePut, context.DeadlineExceeded, ErrOverloaded},
		},
		"refused": {
			Config{Addrs: []string{refused}},
			forever,
			[]error{syscall.ECONNREFUSED},
			[]error{ErrMaybePut, context.DeadlineExceeded},
		},
		"no answer to stats": {
			Config{Addrs: []string{hung.addr}, Timeout: 20 * time.Millisecond},
			forever,
			nil,
			[]error{ErrMaybePut, context.DeadlineExceeded, ErrOverloaded},
		},
		"cancelled before": {
			Config{Addrs: []string{silent.addr}},
			func() (context.Context, context.CancelFunc) { return cancelled, func() {} },
			[]error{context.Canceled},
			[]error{ErrMaybePut, ErrOverloaded},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProducer(t, test.cfg)
			ctx, cancel := test.ctx()
			defer cancel()
			outcomes, err := p.PutAll(ctx, manyMessages(3, "t"))
			for _, o := range append(outcomes, Outcome{Err: err}) {
				for _, want := range test.want {
					if !errors.Is(o.Err, want) {
						t.Errorf("%v is not %v", o.Err, want)
					}
				}
				for _, never := range test.never {
					if errors.Is(o.Err, never) {
						t.Errorf("%v is %v", o.Err, never)
					}
				}
				if o.Err == nil || o.ID != 0 {
					t.Errorf("outcome %+v", o)
				}
			}
		})
	}
}

// What may have been put at one server says so, whatever the others say.
func TestMaybePutHidesOtherErrors(t *testing.T) {
	t.Parallel()
	silent := startFake(t, func(p *peer) { p.command() })
	full := startFake(t, func(p *peer) {
		for p.command() != "" {
			p.say("OUT_OF_MEMORY\r\n")
		}
	})
	for _, addrs := range [][]string{{silent.addr, full.addr}, {full.addr, silent.addr}} {
		p := newProducer(t, Config{Addrs: addrs})
		_, err := p.Put(t.Context(), Message{Tube: "t"})
		if !errors.Is(err, ErrMaybePut) || errors.Is(err, ErrFull) {
			t.Errorf("got %v", err)
		}
	}
}

// Close ends although a server hangs.
func TestCloseBesideAHungServer(t *testing.T) {
	t.Parallel()
	hung := startFake(t, (*peer).hang)
	p := newProducer(t, Config{Addrs: []string{hung.addr}, Timeout: 20 * time.Millisecond})
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			if _, err := p.Put(context.Background(), Message{Tube: "t"}); err == nil {
				t.Error("no error")
			}
		})
	}
	_ = p.Close()
	all.Wait()
}

// Random faults: what was reported as put is there, what was reported as not put is not,
// and what may be put was in flight at a fault.
func TestOutcomesAreTrue(t *testing.T) {
	t.Parallel()
	one, two, cfg := twoServers(t)
	cfg.Timeout, cfg.Conns = 500*time.Millisecond, 2
	p := newProducer(t, cfg)
	const callers, faults = 16, 25
	reported := &outcomeLog{known: map[string]bool{}}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() { reported.puts(p, caller, stop) })
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range faults {
		proxy := []*queuetest.Proxy{one, two}[random.IntN(2)]
		switch random.IntN(5) {
		case 0:
			proxy.Cut()
		case 1:
			proxy.Hang()
		case 2:
			proxy.Refuse()
		case 3:
			proxy.Delay(5 * time.Millisecond)
		case 4:
			proxy.Latency(20 * time.Millisecond)
		}
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		if random.IntN(2) == 0 {
			proxy.Resume()
		}
	}
	one.Resume()
	two.Resume()
	putUntilSome(t, reported)
	close(stop)
	all.Wait()
	reported.check(t, cfg)
}

// putUntilSome waits until puts succeed after the faults.
func putUntilSome(t *testing.T, log *outcomeLog) {
	t.Helper()
	before := log.successes.Load()
	for end := time.Now().Add(patience); log.successes.Load() < before+100; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Error("nothing is put after the faults")
			return
		}
	}
}

// outcomeLog is what was reported of each body.
type outcomeLog struct {
	successes atomic.Int64
	mu        sync.Mutex
	known     map[string]bool // put or not put
	unknown   int
}

func (l *outcomeLog) puts(p *Producer, caller int, stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			return
		case <-time.After(time.Millisecond): // the messages are read again one by one
		}
		messages := manyMessages(1+i%3, fmt.Sprintf("t%d", caller%3))
		for j := range messages {
			messages[j].Body = fmt.Appendf(nil, "%d %d %d", caller, i, j)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		outcomes, _ := p.PutAll(ctx, messages)
		cancel()
		l.mu.Lock()
		for j, o := range outcomes {
			if errors.Is(o.Err, ErrMaybePut) {
				l.unknown++
				continue
			}
			l.known[string(messages[j].Body)] = o.Err == nil
			if o.Err == nil {
				l.successes.Add(1)
			}
		}
		l.mu.Unlock()
	}
}

func (l *outcomeLog) check(t *testing.T, cfg Config) {
	t.Helper()
	found := map[string]bool{}
	for _, addr := range cfg.Addrs {
		c := newConsumer(t, Config{Addrs: []string{addr}})
		for {
			// The last message says that there are no more.
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			batch, err := c.ReserveBatch(ctx, []string{"t0", "t1", "t2", "end"}, 10_000)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range batch {
				found[string(d.Body)] = true
				if err := d.Delete(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if found["end "+addr] {
				break
			}
			last := newProducer(t, Config{Addrs: []string{addr}})
			must[Receipt](t)(last.Put(t.Context(), Message{Tube: "end", Body: []byte("end " + addr), Priority: 1 << 31}))
		}
	}
	put := 0
	for body, ok := range l.known {
		if ok {
			put++
		}
		if ok != found[body] {
			t.Errorf("%q: reported as put is %v, found is %v", body, ok, found[body])
		}
	}
	t.Logf("%d put, %d not put, %d may be put", put, len(l.known)-put, l.unknown)
	if put == 0 {
		t.Error("nothing was put")
	}
}

// A batch whose rest would be answered too late keeps what was sent, and single puts are
// not held up by it.
func TestBatchUnderOverload(t *testing.T) {
	t.Parallel()
	proxy := queuetest.StartProxy(t, queuetest.Start(t).Addr)
	proxy.Delay(10 * time.Millisecond)
	p := newProducer(t, Config{Addrs: []string{proxy.Addr}, Conns: 1})
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	done := make(chan []Outcome)
	go func() {
		outcomes, _ := p.PutAll(ctx, manyMessages(5000, "t"))
		done <- outcomes
	}()
	single := 0
	for ctx.Err() == nil {
		if _, err := p.Put(t.Context(), Message{Tube: "t"}); err == nil {
			single++
		}
	}
	put, not := 0, 0
	for _, o := range <-done {
		switch {
		case o.Err == nil:
			put++
		case errors.Is(o.Err, ErrOverloaded) && !errors.Is(o.Err, ErrMaybePut):
			not++
		}
	}
	if single == 0 || put == 0 || put+not < 4900 {
		t.Errorf("%d single puts, %d of the batch, %d of it were not put", single, put, not)
	}
}
