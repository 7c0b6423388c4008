package publisher

import (
	"context"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

func TestPreferWaitHoldsUntilAChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.queued("")
	b.running(id)
	r := b.hold(id, func(progress float64) { b.report(id, progress) })
	if got := decodeAs[jobs.Result](t, r); got.State != jobs.Running || r.Header.Get("Preference-Applied") != "wait=60" {
		t.Errorf("%+v %v", got, r.Header)
	}
	answer := make(chan *http.Response, 1)
	go func() { answer <- b.get("/"+id, "Prefer: wait=60") }()
	b.watched(1)
	body := b.succeed(id, 1, "[1,2]")
	if r := <-answer; r.StatusCode != 200 || bodyOf(t, r) != string(body) || r.Header.Get("Cache-Control") != httpio.Immutable {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
	b.watched(0)
}

// hold asks for a job and, once the request waits, makes changes until it is
// answered: the request may begin to wait only after some of them.
func (b *bench) hold(id string, change func(progress float64)) *http.Response {
	b.t.Helper()
	answer := make(chan *http.Response, 1)
	go func() { answer <- b.get("/"+id, "Prefer: wait=60") }()
	b.watched(1)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n := 1; n < 10_000; n++ {
		change(float64(n) / 10_000)
		select {
		case r := <-answer:
			return r
		case <-tick.C:
		}
	}
	b.t.Fatal("no answer")
	return nil
}

// watched waits until n subscriptions are open.
func (b *bench) watched(n int) {
	b.t.Helper()
	b.eventually(func() bool {
		return b.p.broker.Len() == n
	})
}

func (b *bench) eventually(done func() bool) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.t.Fatal("waited in vain")
		}
	}
}

// TestPreferWaitForAJobThatIsYetToCome is answered at once: anybody can make up
// ids.
func TestPreferWaitForAJobThatIsYetToCome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for range 3 {
		r := b.get("/"+jobs.NewID(), "Prefer: wait=60")
		if r.StatusCode != http.StatusNotFound || r.Header.Get("Preference-Applied") != "" || r.Header.Get("Retry-After") != "1" {
			t.Errorf("%d %v", r.StatusCode, r.Header)
		}
	}
	b.watched(0)
}

func TestPreferWaitEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxStreams = 1 })
	id := b.queued("")
	if r := b.get("/"+id, "Prefer: wait=0"); r.StatusCode != http.StatusAccepted {
		t.Errorf("no time to wait: %d", r.StatusCode)
	}
	failed := b.failed()
	if r := b.get("/"+failed, "Prefer: wait=60"); r.StatusCode != 200 {
		t.Errorf("an end: %d", r.StatusCode)
	}
	sub, err := b.p.broker.Subscribe(id, netip.Prefix{})
	if err != nil {
		t.Fatal(err)
	}
	r := b.get("/"+id, "Prefer: wait=60")
	if r.StatusCode != http.StatusAccepted || r.Header.Get("Preference-Applied") != "" {
		t.Errorf("too many: %d %v", r.StatusCode, r.Header)
	}
	sub.Close()
	answer := make(chan *http.Response, 1)
	go func() { answer <- b.get("/"+id, "Prefer: wait=60") }()
	b.watched(1)
	b.p.broker.End()
	if r := <-answer; r.StatusCode != http.StatusAccepted {
		t.Errorf("at the end: %d", r.StatusCode)
	}
}
