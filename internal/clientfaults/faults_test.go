package clientfaults

import (
	"context"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/internal/retry"
)

// broker is a beanstalkd behind a wire.
type broker struct {
	*wire
	server *queuetest.Server
	// killed are the lives of the server that ended with SIGKILL. beanstalkd 1.12 may
	// lose acknowledged jobs then.
	killed map[int]bool
	faults map[string]int
	random *rand.Rand
}

func startBroker(t *testing.T, random *rand.Rand) *broker {
	t.Helper()
	server := queuetest.Start(t, "-f0")
	return &broker{wire: newWire(t, server.Addr), server: server, killed: map[int]bool{}, faults: map[string]int{}, random: random}
}

// between returns a random duration.
func between(random *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(random.Int64N(int64(most-least)))
}

// disturb makes one fault after another until ctx ends, and leaves the server well.
func (b *broker) disturb(ctx context.Context) {
	for retry.Sleep(ctx, between(b.random, 100*time.Millisecond, 2*time.Second)) {
		f := faults[b.random.IntN(len(faults))]
		b.faults[f.name]++
		f.make(ctx, b)
	}
}

// faults are what may happen to a server and its connections. Each leaves the server
// well.
var faults = []struct {
	name string
	make func(context.Context, *broker)
}{
	{"connections ended", func(_ context.Context, b *broker) { b.cut(func(*link) ending { return inOrder }) }},
	{"connections reset", func(_ context.Context, b *broker) { b.cut(func(*link) ending { return reset }) }},
	{"one connection reset", func(_ context.Context, b *broker) {
		how := reset
		b.cut(func(*link) ending { defer func() { how = goesOn }(); return how })
	}},
	{"cut in commands", func(ctx context.Context, b *broker) {
		b.cut(func(*link) ending { return inCommand })
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, time.Second))
	}},
	{"cut in answers", func(ctx context.Context, b *broker) {
		b.cut(func(*link) ending { return inAnswer })
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, time.Second))
	}},
	{"network hangs", func(ctx context.Context, b *broker) {
		b.begin(b.hang)
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, 4*time.Second))
		b.resume()
		b.end(nil)
	}},
	{"answers delayed", func(ctx context.Context, b *broker) {
		delay := between(b.random, 5*time.Millisecond, 200*time.Millisecond)
		b.begin(func() { b.delay = delay })
		retry.Sleep(ctx, between(b.random, time.Second, 4*time.Second))
		b.end(func() { b.delay = 0 })
	}},
	{"connections refused", func(ctx context.Context, b *broker) {
		b.refuse()
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, 2*time.Second))
		if err := b.listen(); err != nil {
			b.tb.Errorf("the port of the wire is taken: %v", err)
		}
	}},
	{"memory full", func(ctx context.Context, b *broker) {
		b.set(func() { b.full = true })
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, 2*time.Second))
		b.set(func() { b.full = false })
	}},
	{"beanstalkd stopped", func(ctx context.Context, b *broker) {
		b.begin(nil)
		b.server.Signal(syscall.SIGSTOP)
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, 3*time.Second))
		b.server.Signal(syscall.SIGCONT)
		b.end(nil)
	}},
	{"beanstalkd drains", func(ctx context.Context, b *broker) {
		b.server.Signal(syscall.SIGUSR1)
		retry.Sleep(ctx, between(b.random, 50*time.Millisecond, 2*time.Second))
		b.server.Stop()
		b.restart()
	}},
	{"beanstalkd ended", func(ctx context.Context, b *broker) {
		b.server.Stop()
		retry.Sleep(ctx, between(b.random, time.Millisecond, 2*time.Second))
		b.restart()
	}},
	{"beanstalkd killed", func(ctx context.Context, b *broker) {
		b.set(func() { b.killed[b.life] = true })
		b.server.Kill()
		retry.Sleep(ctx, between(b.random, time.Millisecond, 2*time.Second))
		b.restart()
	}},
}

// restart begins another life of the server before anybody can connect to it.
func (b *broker) restart() {
	b.set(func() { b.life++ })
	b.server.Restart()
}

// set changes the wire.
func (b *broker) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}
