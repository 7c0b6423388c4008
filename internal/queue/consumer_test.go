package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

var tubeT = []string{"t"}

func TestDelivery(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	ctx := t.Context()
	must[Receipt](t)(p.Put(ctx, Message{Tube: "t", Priority: 5}))
	d := must[*Delivery](t)(c.Reserve(ctx, tubeT))
	if err := d.Touch(ctx); err != nil {
		t.Errorf("Touch: %v", err)
	}
	if err := d.Release(ctx, 3, 0); err != nil {
		t.Errorf("Release: %v", err)
	}
	d = must[*Delivery](t)(c.Reserve(ctx, tubeT))
	stats := must[map[string]string](t)(d.Stats(ctx))
	want := []string{"reserved", "3", "2", "1"}
	if diff := cmp.Diff(want, []string{stats["state"], stats["pri"], stats["reserves"], stats["releases"]}); diff != "" {
		t.Error(diff)
	}
	if err := d.Bury(ctx, 9); err != nil {
		t.Errorf("Bury: %v", err)
	}
	tube := must[map[string]string](t)(p.TubeStats(ctx, d.Addr, "t"))
	if tube["current-jobs-buried"] != "1" {
		t.Errorf("tube %v", tube)
	}
	after := map[string]error{
		"delete": d.Delete(ctx), "release": d.Release(ctx, 0, 0), "bury": d.Bury(ctx, 0), "touch": d.Touch(ctx),
	}
	_, after["stats"] = d.Stats(ctx)
	for name, err := range after {
		if !errors.Is(err, ErrGone) {
			t.Errorf("%s after Bury: %v", name, err)
		}
	}
}

// TestOtherOfATube reserves beside a held message, and checks that the held one stays and that
// the next Reserve watches all tubes again.
func TestOtherOfATube(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	for _, m := range []Message{{Tube: "a", Body: []byte("a1")}, {Tube: "a", Body: []byte("a2")}, {Tube: "b", Body: []byte("b1")}, {Tube: "b", Delay: time.Hour}} {
		must[Receipt](t)(p.Put(t.Context(), m))
	}
	both := []string{"a", "b"}
	held := must[*Delivery](t)(c.Reserve(t.Context(), both))
	other := must[*Delivery](t)(held.OtherOf(t.Context(), map[string]bool{"b": true, "c": true}))
	if string(held.Body) != "a1" || other == nil || string(other.Body) != "b1" {
		t.Fatalf("%s, then %+v", held.Body, other)
	}
	for _, tube := range []string{"b", "empty"} {
		if none := must[*Delivery](t)(held.OtherOf(t.Context(), map[string]bool{tube: true})); none != nil {
			t.Errorf("%s has %+v", tube, none)
		}
	}
	if _, err := held.OtherOf(t.Context(), map[string]bool{"no tube": true}); !errors.Is(err, ErrTube) {
		t.Errorf("a bad name: %v", err)
	}
	if err := errors.Join(held.Release(t.Context(), 0, 0), other.Delete(t.Context())); err != nil {
		t.Fatal(err)
	}
	batch := must[[]*Delivery](t)(c.ReserveBatch(t.Context(), both, 3))
	if len(batch) != 2 || string(batch[0].Body) != "a1" {
		t.Errorf("%d messages are left", len(batch))
	}
}

func TestReleaseRoundsUp(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	d := must[*Delivery](t)(c.Reserve(t.Context(), tubeT))
	if err := d.Release(t.Context(), 0, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	tube := must[map[string]string](t)(p.TubeStats(t.Context(), d.Addr, "t"))
	if tube["current-jobs-delayed"] != "1" {
		t.Errorf("a delay of 1 ms is none: %v", tube)
	}
}

func TestWatchListChanges(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	for _, tubes := range [][]string{{"a"}, {"b", "c"}, {"c", "c"}, {"default"}, {"a", "default"}} {
		must[Receipt](t)(p.Put(t.Context(), Message{Tube: "elsewhere", Body: []byte("no")}))
		for _, tube := range tubes {
			must[Receipt](t)(p.Put(t.Context(), Message{Tube: tube, Body: []byte(tube)}))
		}
		batch := must[[]*Delivery](t)(c.ReserveBatch(t.Context(), tubes, 10))
		var got []string
		for _, d := range batch {
			got = append(got, string(d.Body))
			_ = d.Delete(t.Context())
		}
		if diff := cmp.Diff(tubes, got); diff != "" {
			t.Error(diff)
		}
	}
	for _, tubes := range [][]string{nil, {}, {"a", ""}, {"a b"}} {
		if _, err := c.Reserve(t.Context(), tubes); !errors.Is(err, ErrTube) {
			t.Errorf("%q: %v", tubes, err)
		}
	}
}

func TestReserveBatch(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	must[[]Outcome](t)(p.PutAll(t.Context(), manyMessages(25, "t")))
	for _, want := range []int{10, 10, 5} {
		batch := must[[]*Delivery](t)(c.ReserveBatch(t.Context(), tubeT, 10))
		if len(batch) != want {
			t.Fatalf("got %d, want %d", len(batch), want)
		}
		for _, d := range batch {
			if err := d.Delete(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

// With a second left to run the server says DEADLINE_SOON instead of waiting.
func TestReserveBatchNearDeadline(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t", TTR: time.Second}))
	batch := must[[]*Delivery](t)(c.ReserveBatch(t.Context(), tubeT, 10))
	if len(batch) != 1 {
		t.Errorf("got %d", len(batch))
	}
}

// Who waits must hold nothing: what is still held goes back.
func TestReserveGivesBack(t *testing.T) {
	t.Parallel()
	_, p, c := pair(t)
	r := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	first := must[*Delivery](t)(c.Reserve(t.Context(), tubeT))
	second := must[*Delivery](t)(c.Reserve(t.Context(), tubeT))
	if second.ID != r.ID {
		t.Errorf("got %d, want %d", second.ID, r.ID)
	}
	if err := first.Delete(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("the first delivery: %v", err)
	}
	if err := second.Delete(t.Context()); err != nil {
		t.Errorf("the second delivery: %v", err)
	}
}

// waiting waits until n connections are blocked in a reserve.
func waiting(t testing.TB, p *Producer, addr string, n int) {
	t.Helper()
	for {
		stats, err := p.TubeStats(t.Context(), addr, "t")
		if err != nil {
			t.Fatal(err)
		}
		if stats["current-waiting"] == fmt.Sprint(n) {
			return
		}
	}
}

// The end of ctx ends a Reserve, and the message goes to another.
func TestContextEndsReserve(t *testing.T) {
	t.Parallel()
	s, p, c := pair(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Reserve(ctx, tubeT)
		done <- err
	}()
	waiting(t, p, s.Addr, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	other := newConsumer(t, Config{Addrs: []string{s.Addr}})
	must[*Delivery](t)(other.Reserve(t.Context(), tubeT))
	if _, err := c.Reserve(ctx, tubeT); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

func TestCloseEndsReserve(t *testing.T) {
	t.Parallel()
	s, p, c := pair(t)
	done := make(chan error)
	for range 2 { // one waits for the other
		go func() {
			_, err := c.Reserve(t.Context(), tubeT)
			done <- err
		}()
	}
	waiting(t, p, s.Addr, 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := c.Reserve(t.Context(), tubeT); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	_ = c.Close()
}

func TestCloseGivesBack(t *testing.T) {
	t.Parallel()
	s, p, c := pair(t)
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	d := must[*Delivery](t)(c.Reserve(t.Context(), tubeT))
	_ = c.Close()
	if err := d.Delete(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("a delivery after Close: %v", err)
	}
	must[*Delivery](t)(newConsumer(t, Config{Addrs: []string{s.Addr}}).Reserve(t.Context(), tubeT))
}

// A body over our limit does not come, and does not stop what comes after.
func TestTooBigToTake(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "-z", "1000000")
	p := newProducer(t, Config{Addrs: []string{s.Addr}, MaxBody: 1000000})
	c := newConsumer(t, Config{Addrs: []string{s.Addr}, MaxBody: 100})
	for _, size := range []int{101, 1000000, 100} {
		must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t", Body: make([]byte, size)}))
	}
	batch := must[[]*Delivery](t)(c.ReserveBatch(t.Context(), tubeT, 10))
	var got [][2]int
	for _, d := range batch {
		got = append(got, [2]int{d.Size, len(d.Body)})
		if err := d.Bury(t.Context(), 0); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([][2]int{{101, 0}, {1000000, 0}, {100, 100}}, got); diff != "" {
		t.Error(diff)
	}
}

// A consumer outlives its server, and says so once when it goes and once when
// it is back.
func TestServerGoesAndComesBack(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t, "-f0")
	logged := records{got: make(chan slog.Record, 100)}
	p := newProducer(t, Config{Addrs: []string{s.Addr}})
	c := newConsumer(t, Config{Addrs: []string{s.Addr}, Logger: slog.New(logged)})
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	held := must[*Delivery](t)(c.Reserve(t.Context(), tubeT))
	s.Kill()
	if err := held.Delete(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("Delete with the server gone: %v", err)
	}
	took := make(chan *Delivery)
	go func() {
		d, err := c.Reserve(t.Context(), tubeT)
		if err != nil {
			t.Error(err)
		}
		took <- d
	}()
	logged.expect(t, slog.LevelWarn, s.Addr)
	s.Restart()
	if d := <-took; d.Server == held.Server || d.Delete(t.Context()) != nil {
		t.Errorf("delivery %+v", d)
	}
	logged.expect(t, slog.LevelInfo, s.Addr)
	if len(logged.got) > 0 {
		t.Errorf("logged once more: %v", (<-logged.got).Message)
	}
}

// expect waits for the next line of the log.
func (r records) expect(t *testing.T, level slog.Level, addr string) {
	t.Helper()
	select {
	case rec := <-r.got:
		said := rec.Message
		rec.Attrs(func(a slog.Attr) bool { said += " " + a.String(); return true })
		if rec.Level != level || !strings.Contains(said, addr) {
			t.Errorf("logged %v %q, want %v and %s", rec.Level, said, level, addr)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("nothing was logged at %v", level)
	}
}

func TestServerAbsentAtFirst(t *testing.T) {
	t.Parallel()
	s, p, c := pair(t)
	s.Stop()
	took := make(chan error)
	go func() {
		_, err := c.Reserve(t.Context(), tubeT)
		took <- err
	}()
	s.Restart()
	must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"}))
	if err := <-took; err != nil {
		t.Error(err)
	}
}

func TestHangingServerEndsReserve(t *testing.T) {
	t.Parallel()
	s, _, c := pair(t)
	s.Signal(syscall.SIGSTOP)
	defer s.Signal(syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Reserve(ctx, tubeT); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// A server that misbehaves is asked again over a new connection, which is
// trusted only once it has answered: whatever it does, the consumer goes on.
func TestConsumerSurvivesRogue(t *testing.T) {
	t.Parallel()
	answers := []string{"DEADLINE_SOON\r\n", "OUT_OF_MEMORY\r\n", "garbage\r\n", "RESERVED 1 2\r\nabc\r\n"}
	var asked atomic.Int64
	f := startFake(t, func(p *peer) {
		if p.command() == "" {
			return
		}
		asked.Add(1)
		if p.number < len(answers) {
			p.say(answers[p.number])
			if p.command() != "" {
				t.Errorf("the connection is used after %q", answers[p.number])
			}
			return
		}
		p.say("RESERVED 5 2\r\nok\r\n")
		p.hang()
	})
	logged := records{got: make(chan slog.Record, 100)}
	cfg := f.cfg
	cfg.Logger = slog.New(logged)
	c := newConsumer(t, cfg)
	d := must[*Delivery](t)(c.Reserve(t.Context(), tubeT))
	if string(d.Body) != "ok" || asked.Load() != int64(len(answers)+1) {
		t.Errorf("body %q after %d connections", d.Body, asked.Load())
	}
	logged.expect(t, slog.LevelWarn, f.addr)
	logged.expect(t, slog.LevelInfo, f.addr)
	if len(logged.got) > 0 {
		t.Errorf("logged once more: %v", (<-logged.got).Message)
	}
}

// TestPollLeavesAServerAlone polls a server that hangs: after the first poll the others
// return at once, and the server is tried now and then, with longer waits.
func TestPollLeavesAServerAlone(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	var works atomic.Bool
	f := startRaw(t, func(p *peer) {
		conns.Add(1)
		if !works.Load() {
			p.hang()
			return
		}
		p.answer(greeting)
		p.answer("RESERVED 7 2\r\nhi\r\n")
		p.hang()
	})
	c := newConsumer(t, f.cfg)
	poll := func() *Delivery {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return must[*Delivery](t)(c.Poll(ctx, []string{"t"}))
	}
	const polls = 1000
	for range polls {
		if d := poll(); d != nil {
			t.Fatalf("got %+v", d)
		}
	}
	if n := conns.Load(); n == 0 || n > polls/10 {
		t.Errorf("%d connections for %d polls", n, polls)
	}
	works.Store(true)
	var d *Delivery
	for end := time.Now().Add(patience); d == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		d = poll()
	}
	if d == nil || string(d.Body) != "hi" {
		t.Errorf("after the server works again: %+v", d)
	}
	_ = c.Close()
	if _, err := c.Poll(t.Context(), []string{"t"}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
