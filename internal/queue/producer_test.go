package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

func TestPutReserve(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	bodies := map[string][]byte{
		"nil": nil, "empty": {}, "text": []byte("hello"), "line ends": []byte("\r\nput 0 0 1 1\r\n"),
		"zeros": make([]byte, 5000), "largest": bytes.Repeat([]byte("x"), DefaultMaxBody),
	}
	for name, body := range bodies {
		r := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t", Body: body}))
		d := must[*Delivery](t)(c.Reserve(t.Context(), []string{"t"}))
		if d.ID != r.ID || d.Addr != r.Addr || d.Server != r.Server || d.Server == "" {
			t.Errorf("%s: receipt %+v, delivery %d %s %s", name, r, d.ID, d.Addr, d.Server)
		}
		if !bytes.Equal(d.Body, body) || d.Size != len(body) {
			t.Errorf("%s: got %d bytes, size %d, want %d", name, len(d.Body), d.Size, len(body))
		}
		if err := d.Delete(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPutRoundsUp(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	tests := []struct {
		name       string
		m          Message
		delay, ttr string
	}{
		{"defaults", Message{}, "0", "60"},
		{"negative", Message{Delay: -time.Hour, TTR: -1}, "0", "60"},
		{"a little", Message{Delay: 10 * time.Millisecond, TTR: 10 * time.Millisecond}, "1", "1"},
		{"over a second", Message{Delay: 1001 * time.Millisecond, TTR: 1900 * time.Millisecond, Priority: 7}, "2", "2"},
	}
	for i, test := range tests {
		test.m.Tube = fmt.Sprintf("t%d", i)
		if _, err := p.Put(t.Context(), test.m); err != nil {
			t.Fatal(err)
		}
		d := must[*Delivery](t)(c.Reserve(t.Context(), []string{test.m.Tube}))
		stats := must[map[string]string](t)(d.Stats(t.Context()))
		got := []string{stats["delay"], stats["ttr"], stats["pri"], stats["tube"]}
		want := []string{test.delay, test.ttr, fmt.Sprint(test.m.Priority), test.m.Tube}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
		_ = d.Delete(t.Context())
	}
}

func TestPutRefusesBeforeSending(t *testing.T) {
	t.Parallel()
	cfg := Config{Addrs: []string{"127.0.0.1:1"}, MaxBody: 10} // nothing listens there
	p := newProducer(t, cfg)
	tests := []struct {
		m    Message
		want error
	}{
		{Message{Tube: "a b"}, ErrTube},
		{Message{Tube: "t\r\ndelete 1"}, ErrTube},
		{Message{Tube: "t", Body: make([]byte, 11)}, ErrTooBig},
	}
	for _, test := range tests {
		if _, err := p.Put(t.Context(), test.m); !errors.Is(err, test.want) {
			t.Errorf("Put %q: %v", test.m.Tube, err)
		}
		receipts, err := p.PutAll(t.Context(), []Message{{Tube: "t"}, test.m})
		if !errors.Is(err, test.want) || len(receipts) != 2 {
			t.Errorf("PutAll %q: %v, %v", test.m.Tube, receipts, err)
		}
	}
	if _, err := p.TubeStats(t.Context(), cfg.Addrs[0], "t\r\nx"); !errors.Is(err, ErrTube) {
		t.Errorf("TubeStats: %v", err)
	}
}

// The server's own limit may be lower than ours; the connection stays good.
func TestServersLimit(t *testing.T) {
	t.Parallel()
	_, p, _ := pair(t, "-z", "100")
	for _, test := range []struct {
		size int
		want error
	}{{101, ErrTooBig}, {100, nil}, {60_000, ErrTooBig}, {0, nil}} {
		_, err := p.Put(t.Context(), Message{Tube: "t", Body: make([]byte, test.size)})
		if !errors.Is(err, test.want) {
			t.Errorf("%d bytes: %v", test.size, err)
		}
	}
	if stats := must[[]Server](t)(p.Servers(t.Context()))[0].Stats; stats["total-connections"] != "3" { // that of queuetest, of the puts, of stats
		t.Errorf("%s connections were made", stats["total-connections"])
	}
}

// Each message of concurrent callers comes to the tube that it is for.
func TestConcurrentPuts(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	const callers, each = 32, 20
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			tube := fmt.Sprintf("t%d", n)
			for range each {
				if _, err := p.Put(t.Context(), Message{Tube: tube, Body: []byte(tube)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for n := range callers {
		tube := fmt.Sprintf("t%d", n)
		batch := must[[]*Delivery](t)(c.ReserveBatch(t.Context(), []string{tube}, each+1))
		if len(batch) != each {
			t.Errorf("%d messages on %s", len(batch), tube)
		}
		for _, d := range batch {
			if string(d.Body) != tube {
				t.Errorf("%q came to %s", d.Body, tube)
			}
			_ = d.Delete(t.Context())
		}
	}
}

// PutAll keeps the order, and each receipt is that of its message, also where
// tubes change and bodies are larger than any buffer.
func TestPutAll(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	tubes := []string{"a", "b", "b", "c"}
	messages := manyMessages(1000, tubes...)
	for i := range messages {
		if i%7 == 0 {
			messages[i].Body = append(messages[i].Body, bytes.Repeat([]byte("\r\nput 0 0 0 9 \r\n"), i)...)
		}
	}
	receipts := must[[]Outcome](t)(p.PutAll(t.Context(), messages))
	for i, m := range messages {
		d := must[*Delivery](t)(c.Reserve(t.Context(), []string{m.Tube}))
		if d.ID != receipts[i].ID || !bytes.Equal(d.Body, m.Body) || receipts[i].Server != d.Server {
			t.Fatalf("message %d: receipt %+v, delivery %d %.20q", i, receipts[i], d.ID, d.Body)
		}
		if err := d.Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for i := range receipts[1:] {
		if receipts[i+1].ID <= receipts[i].ID {
			t.Fatalf("receipt %d is %d, the next %d", i, receipts[i].ID, receipts[i+1].ID)
		}
	}
	if receipts, err := p.PutAll(t.Context(), nil); len(receipts) != 0 || err != nil {
		t.Errorf("of nothing: %v, %v", receipts, err)
	}
	if receipts := must[[]Outcome](t)(p.PutAll(t.Context(), messages[:1])); receipts[0].ID == 0 {
		t.Errorf("of one: %v", receipts)
	}
}

func TestNextServer(t *testing.T) {
	t.Parallel()
	first, second := queuetest.Start(t), queuetest.Start(t)
	p := newProducer(t, Config{Addrs: []string{first.Addr, second.Addr}})
	put := func(want string) {
		t.Helper()
		r := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
		receipts := must[[]Outcome](t)(p.PutAll(t.Context(), manyMessages(100, "t")))
		if r.Addr != want || receipts[0].Addr != want || receipts[99].Addr != want {
			t.Errorf("put to %s, %s, %s, want %s", r.Addr, receipts[0].Addr, receipts[99].Addr, want)
		}
	}
	put(first.Addr)
	first.Kill()
	put(second.Addr)
	first.Restart()
	put(second.Addr) // the one that was good stays first
	second.Signal(syscall.SIGUSR1)
	put(first.Addr) // the second drains
	first.Kill()
	// A put or a probe may be sent before the end of its connection is noticed.
	err := ErrMaybePut
	for end := time.Now().Add(patience); (errors.Is(err, ErrMaybePut) || !errors.Is(err, syscall.ECONNREFUSED)) && time.Now().Before(end); {
		_, err = p.Put(t.Context(), Message{Tube: "t"})
	}
	if errors.Is(err, ErrMaybePut) || !errors.Is(err, ErrDraining) || !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), first.Addr) {
		t.Errorf("with no server: %v", err)
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Errorf("a server that drains answers: %v", err)
	}
	servers, err := p.Servers(t.Context())
	if err != nil || servers[0].Err == nil || servers[1].Err != nil || servers[1].Stats["draining"] != "true" {
		t.Errorf("servers %+v, %v", servers, err)
	}
	second.Kill()
	if err := p.Ping(t.Context()); err == nil {
		t.Error("Ping without a server: no error")
	}
	if _, err := p.Servers(t.Context()); err == nil {
		t.Error("Servers without a server: no error")
	}
}

// An idle connection that has outlived its server does not fail a put.
func TestServerRestarted(t *testing.T) {
	t.Parallel()
	s, p, _ := pair(t)
	before := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	s.Restart()
	after := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	if before.Server == after.Server {
		t.Errorf("both runs of the server are %s", after.Server)
	}
	s.Restart()
	receipts := must[[]Outcome](t)(p.PutAll(t.Context(), manyMessages(200, "t")))
	if receipts[199].Server == after.Server {
		t.Errorf("both runs of the server are %s", after.Server)
	}
}

func TestHangingServer(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	p := newProducer(t, Config{Addrs: []string{s.Addr}, Timeout: time.Hour})
	put := func(ctx context.Context) error {
		_, err := p.Put(ctx, Message{Tube: "t"})
		return err
	}
	if err := put(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGSTOP)
	defer s.Signal(syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := put(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if _, err := p.PutAll(ctx, manyMessages(10, "t")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	// Close waits for what is under way, which ends with its context.
	ctx, cancel = context.WithCancel(t.Context())
	failed, closed := make(chan error), make(chan bool)
	for range 2 * DefaultConns {
		go func() { failed <- put(ctx) }()
	}
	go func() { _ = p.Close(); close(closed) }()
	cancel()
	for range 2 * DefaultConns {
		if err := <-failed; !errors.Is(err, ErrClosed) && !errors.Is(err, context.Canceled) {
			t.Errorf("after Close: %v", err)
		}
	}
	<-closed
	_ = p.Close()
	if err := put(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestServers(t *testing.T) {
	t.Parallel()
	s, p, _ := pair(t)
	r := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	servers := must[[]Server](t)(p.Servers(t.Context()))
	got := servers[0]
	if len(servers) != 1 || got.Addr != s.Addr || got.ID != r.Server || !strings.Contains(got.Version, ".") || got.Stats["current-jobs-ready"] != "1" {
		t.Errorf("servers %+v", servers)
	}
	stats := must[map[string]string](t)(p.TubeStats(t.Context(), s.Addr, "t"))
	if stats["current-jobs-ready"] != "1" {
		t.Errorf("tube %v", stats)
	}
	if stats, err := p.TubeStats(t.Context(), s.Addr, "other"); len(stats) != 0 || err != nil {
		t.Errorf("a tube that is not there: %v, %v", stats, err)
	}
	if _, err := p.TubeStats(t.Context(), "127.0.0.1:1", "t"); err == nil {
		t.Error("a server that is not ours: no error")
	}
}

// A server that gives no proper id is not used.
func TestServerWithoutID(t *testing.T) {
	t.Parallel()
	answers := []string{
		"OK 8\r\n---\na: 1\r\n", "OK 7\r\n---\nid:\r\n", "OK 11\r\n---\nid: a b\n\r\n", "NOT_FOUND\r\n",
		fmt.Sprintf("OK 108\r\n---\nid: %s\r\n", strings.Repeat("x", 100)), "OK 70000\r\n",
	}
	for _, answer := range answers {
		f := startRaw(t, func(p *peer) { p.command(); p.say(answer); p.hang() })
		p := newProducer(t, f.cfg)
		if _, err := p.Put(t.Context(), Message{Tube: "t"}); err == nil {
			t.Errorf("%.40q: no error", answer)
		}
	}
}

// TestUnixSocket talks to beanstalkd -l unix:/PATH, also over its restart.
func TestUnixSocket(t *testing.T) {
	t.Parallel()
	s := queuetest.StartUnix(t)
	p := must[*Producer](t)(NewProducer(Config{Addrs: []string{strings.Replace(s.Addr, "unix:", " UNIX://", 1)}}))
	defer p.Close()
	c := must[*Consumer](t)(NewConsumer(Config{Addrs: []string{s.Addr}}))
	defer c.Close()
	for range 2 {
		r := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t", Body: []byte("ü")}))
		d := must[*Delivery](t)(c.Reserve(t.Context(), []string{"t"}))
		if string(d.Body) != "ü" || d.Addr != s.Addr || r.Addr != s.Addr || d.Server != r.Server || d.Server == "" {
			t.Errorf("receipt %+v, delivery %+v", r, d)
		}
		if err := d.Delete(t.Context()); err != nil {
			t.Error(err)
		}
		s.Restart()
	}
}
