package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// offered counts what became of puts that were offered at a rate.
type offered struct {
	put, overloaded, maybe, late, other atomic.Int64
	firstOther                          atomic.Value
}

// offer starts a put with a time limit at a rate, for some time, and waits for all.
func offer(p *Producer, rate float64, limit, span time.Duration) *offered {
	var o offered
	o.offer(p, rate, limit, span)
	return &o
}

func (o *offered) offer(p *Producer, rate float64, limit, span time.Duration) {
	var all sync.WaitGroup
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	start, started := time.Now(), 0
	for time.Since(start) < span {
		<-tick.C
		for due := int(time.Since(start).Seconds() * rate); started < due; started++ {
			all.Go(func() { o.one(p, limit) })
		}
	}
	all.Wait()
}

func (o *offered) one(p *Producer, limit time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	_, err := p.Put(ctx, Message{Tube: "t", Body: document})
	switch {
	case err == nil:
		o.put.Add(1)
	case errors.Is(err, ErrMaybePut):
		o.maybe.Add(1)
	case errors.Is(err, ErrOverloaded), errors.Is(err, errAway): // a busy machine stands still now and then
		o.overloaded.Add(1)
	case errors.Is(err, context.DeadlineExceeded):
		o.late.Add(1)
	default:
		o.other.Add(1)
		o.firstOther.CompareAndSwap(nil, err.Error())
	}
}

func (o *offered) String() string {
	return fmt.Sprintf("%d put, %d overloaded, %d may be put, %d late, %d others (%v)",
		o.put.Load(), o.overloaded.Load(), o.maybe.Load(), o.late.Load(), o.other.Load(), o.firstOther.Load())
}

// BenchmarkOverload offers puts with a second of time to a server that takes 50 ms for
// each answer of a connection, at multiples of what its connections can do. The first
// second, in which connections are made, is not in the figures. A busy machine makes the
// delays longer and the capacity smaller; the share of time in which the server was busy
// shows that.
func BenchmarkOverload(b *testing.B) {
	const delay, start, span = 50 * time.Millisecond, time.Second, 4 * time.Second
	capacity := DefaultConns * float64(time.Second/delay)
	for _, load := range []float64{0.5, 1, 2, 4, 10} {
		b.Run(fmt.Sprintf("%gx", load), func(b *testing.B) {
			proxy := queuetest.StartProxy(b, queuetest.Start(b).Addr)
			proxy.Delay(delay)
			p := newProducer(b, Config{Addrs: []string{proxy.Addr}})
			for b.Loop() {
				var o offered
				ended := make(chan bool)
				go func() { defer close(ended); o.offer(p, load*capacity, time.Second, start+span) }()
				<-time.After(start)
				put, overloaded, began, before := o.put.Load(), o.overloaded.Load(), time.Now(), proxy.Counts()
				<-time.After(span)
				put, overloaded = o.put.Load()-put, o.overloaded.Load()-overloaded
				seconds, after := time.Since(began).Seconds(), proxy.Counts()
				busy, idle := (after.Busy - before.Busy).Seconds(), (after.Idle - before.Idle).Seconds()
				<-ended
				b.ReportMetric(float64(put)/seconds, "put/s")
				b.ReportMetric(float64(overloaded)/seconds, "overloaded/s")
				b.ReportMetric(float64(o.maybe.Load()+o.late.Load()+o.other.Load()), "others")
				b.ReportMetric(capacity, "capacity/s")
				b.ReportMetric(100*busy/(busy+idle), "busy-%")
			}
		})
	}
}

// untilBusy offers more puts than a server can take, one second after the other, until it
// was busy in two of them nearly all the time and nearly all that it answered succeeded.
// The measure is what the proxy did and not the clock, and a busy machine gets more time.
func untilBusy(t *testing.T, p *Producer, proxy *queuetest.Proxy, rate float64, shared bool) {
	t.Helper()
	const limit, span = 500 * time.Millisecond, time.Second
	good := 0
	for end := time.Now().Add(patience); good < 2; {
		before := proxy.Counts()
		o := offer(p, rate, limit, span)
		after := proxy.Counts()
		busy, idle, puts := after.Busy-before.Busy, after.Idle-before.Idle, after.Puts-before.Puts
		if shared {
			idle = max(0, span-busy) // one answer at a time
		}
		// The half second after the last put has no load.
		if float64(busy) > 0.8*float64(busy+idle) && float64(o.put.Load()) > 0.9*float64(puts) {
			good++
		}
		if o.other.Load() > 0 {
			t.Fatal(o)
		}
		if time.Now().After(end) {
			t.Fatalf("%v; the server was busy for %v, idle for %v, and answered %d", o, busy, idle, puts)
		}
	}
}

// Under any overload the rate stays at what the server can do, and all others get an error
// in time.
func TestOverloadKeepsTheServerBusy(t *testing.T) {
	t.Parallel()
	const delay, conns = 20 * time.Millisecond, 4
	for _, load := range []float64{2, 10} {
		t.Run(fmt.Sprintf("%gx", load), func(t *testing.T) {
			t.Parallel()
			proxy := queuetest.StartProxy(t, queuetest.Start(t).Addr)
			proxy.Delay(delay)
			p := newProducer(t, Config{Addrs: []string{proxy.Addr}, Conns: conns})
			rate := load * conns / delay.Seconds()
			o := offer(p, rate, 500*time.Millisecond, 2*time.Second)
			if o.other.Load() > 0 || o.overloaded.Load() == 0 {
				t.Error(o)
			}
			untilBusy(t, p, proxy, rate, false)
			if n := proxy.Counts().Conns; n != conns {
				t.Errorf("%d connections were made", n)
			}
		})
	}
}

// The rate comes back after a change of the server: another delay, one answer at a time on
// all connections, a time without any answer.
func TestRateComesBack(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*queuetest.Proxy){
		"slower": func(p *queuetest.Proxy) { p.Delay(50 * time.Millisecond) },
		"faster": func(p *queuetest.Proxy) { p.Delay(4 * time.Millisecond) },
		"shared": func(p *queuetest.Proxy) { p.DelayAll(5 * time.Millisecond) },
		"hung": func(p *queuetest.Proxy) {
			p.Hang()
			time.Sleep(time.Second)
			p.Resume()
			p.Delay(20 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := queuetest.StartProxy(t, queuetest.Start(t).Addr)
			proxy.Delay(20 * time.Millisecond)
			p := newProducer(t, Config{Addrs: []string{proxy.Addr}, Conns: 4})
			const rate = 2000
			offer(p, rate, 500*time.Millisecond, time.Second)
			change(proxy)
			untilBusy(t, p, proxy, rate, name == "shared")
		})
	}
}
