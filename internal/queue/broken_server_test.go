package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/panics"
)

func TestProperReplies(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, func(p *peer) { p.answer(op.reply); p.hang() })
			c := dialFake(t, f)
			if err := op.run(t, c); err != nil {
				t.Error(err)
			}
			if c.dead.Load() {
				t.Error("a proper reply ended the connection")
			}
		})
	}
}

// A reply that is cut anywhere is an error, and the end of the connection.
func TestCutReplies(t *testing.T) {
	t.Parallel()
	endings := map[string]func(*peer){
		"closed": func(*peer) {},
		"reset":  (*peer).reset,
	}
	for _, op := range operations {
		for ending, end := range endings {
			t.Run(op.name+"/"+ending, func(t *testing.T) {
				t.Parallel()
				f := startFake(t, func(p *peer) { p.answer(op.reply[:p.number]); end(p) })
				for offset := range len(op.reply) {
					c := dialFake(t, f)
					err := op.run(t, c)
					if err == nil {
						t.Errorf("after %q: no error", op.reply[:offset])
					}
					if !c.dead.Load() {
						t.Errorf("after %q: the connection is still used", op.reply[:offset])
					}
					if errors.Is(err, ErrReply) {
						t.Errorf("after %q: %v", op.reply[:offset], err)
					}
				}
			})
		}
	}
}

// A server that stops in the middle is given up after Config.Timeout, and at
// once when the caller's context ends.
func TestHangingReplies(t *testing.T) {
	t.Parallel()
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			half := op.reply[:len(op.reply)/2]
			f := startFake(t, func(p *peer) { p.answer(half); p.hang() })
			c := dialFake(t, f)
			c.timeout = 20 * time.Millisecond
			if err := op.run(t, c); !errors.Is(err, os.ErrDeadlineExceeded) || !c.dead.Load() {
				t.Errorf("got %v, dead %v", err, c.dead.Load())
			}
		})
	}
}

func TestContextEndsCommand(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := startFake(t, func(p *peer) { p.command(); cancel(); p.hang() })
	c := dialFake(t, f)
	_, err := c.tubes(ctx)
	if !errors.Is(err, context.Canceled) || !c.dead.Load() {
		t.Errorf("got %v, dead %v", err, c.dead.Load())
	}
	if err := holding(c).Delete(t.Context()); !errors.Is(err, ErrGone) {
		t.Errorf("a delivery of a dead connection: %v", err)
	}
}

func TestGarbage(t *testing.T) {
	t.Parallel()
	garbage := []string{
		"\r\n", "\n", " \r\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "\x16\x03\x01\x00\xff\r\n",
		"INSERTED 1\n", "INSERTED\r\n", "INSERTED 0\r\n", "INSERTED -1\r\n", "INSERTED 1 2\r\n", "INSERTED 12x\r\n",
		"INSERTED  1\r\n", "INSERTED 18446744073709551616\r\n", "inserted 1\r\n",
		"RESERVED\r\n", "RESERVED 1\r\n", "RESERVED 1 -1\r\nx\r\n", "RESERVED 1 -3\r\n", "RESERVED 0 1\r\nx\r\n",
		"RESERVED 1 9223372036854775807\r\n", "RESERVED 1 1073741825\r\n", "RESERVED 1 2 3\r\nab\r\n", "RESERVED 1 2\r\nabcd\r\n",
		"OK\r\n", "OK -5\r\n", "OK 9223372036854775807\r\n", "OK 4194305\r\n", "OK x\r\n", "OK 2\r\nabcd\r\n", "OK 1 1\r\n",
		"FOUND 1 1\r\nx\r\n", "NOT_FOUND 99999999999\r\n", "TIMED_OUT 99999999999\r\n",
		"BAD_FORMAT\r\n", "UNKNOWN_COMMAND 1\r\n", "EXPECTED_CRLF\r\n", "NOT_IGNORED\r\n",
		"WATCHING\r\n", "USING\r\n",
		strings.Repeat("USING t\r\n", 10), strings.Repeat("WATCHING 1\r\n", 10),
		strings.Repeat("x", maxLine) + "\r\n", strings.Repeat("x", 10_000),
		"INSERTED " + strings.Repeat("1", 10_000) + "\r\n",
	}
	for _, op := range operations {
		t.Run(op.name, func(t *testing.T) {
			t.Parallel()
			f := startFake(t, func(p *peer) { p.answer(garbage[p.number]); p.hang() })
			for _, line := range garbage {
				c := dialFake(t, f)
				if err := op.run(t, c); !errors.Is(err, ErrReply) {
					t.Errorf("%.80q: %v", line, err)
				}
				if !c.dead.Load() {
					t.Errorf("%.80q: the connection is still used", line)
				}
			}
		})
	}
}

func TestServerSaysNo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		op, reply string
		want      error
	}{
		{"reserve", "TIMED_OUT\r\n", errNone},
		{"reserve", "DEADLINE_SOON\r\n", errDeadline},
		{"delete", "NOT_FOUND\r\n", ErrGone},
		{"release", "NOT_FOUND\r\n", ErrGone},
		{"release", "BURIED\r\n", ErrFull},
		{"bury", "INTERNAL_ERROR\r\n", ErrRefused},
		{"touch", "NOT_FOUND\r\n", ErrGone},
		{"stats", "OUT_OF_MEMORY\r\n", ErrFull},
	}
	for _, test := range tests {
		t.Run(test.op+" "+strings.TrimSpace(test.reply), func(t *testing.T) {
			t.Parallel()
			f := startFake(t, func(p *peer) { p.answer(test.reply); p.hang() })
			c := dialFake(t, f)
			for _, op := range operations {
				if op.name != test.op {
					continue
				}
				if err := op.run(t, c); !errors.Is(err, test.want) {
					t.Errorf("got %v, want %v", err, test.want)
				}
			}
			if c.dead.Load() {
				t.Error("an answer of the server ended the connection")
			}
		})
	}
}

// What comes unasked after a reply is not taken for the next one.
func TestMoreThanAskedFor(t *testing.T) {
	t.Parallel()
	f := startFake(t, func(p *peer) { p.answer("DELETED\r\nDELETED\r\n"); p.hang() })
	c := dialFake(t, f)
	first, second := holding(c), &Delivery{ID: 8, conn: c}
	c.held.add(8)
	if err := first.Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := second.Delete(t.Context()); !errors.Is(err, ErrReply) || !errors.Is(err, ErrGone) {
		t.Errorf("second: %v", err)
	}
}

// The stated size of a body is not allocated, whether it comes or not.
func TestStatedSizeIsNotAllocated(t *testing.T) {
	const size = 100 << 20
	block := make([]byte, 1<<20)
	f := startFake(t, func(p *peer) {
		p.answer(fmt.Sprintf("RESERVED 9 %d\r\n", size))
		if p.number == 0 {
			return
		}
		for range size / len(block) {
			_, _ = p.Write(block)
		}
		p.say("\r\n")
		p.hang()
	})
	for _, whole := range []bool{false, true} {
		c := dialFake(t, f)
		before := allocated()
		d, err := c.reserve(t.Context(), map[string]bool{"t": true}, time.Minute)
		if got := allocated() - before; got > size/4 {
			t.Errorf("%d bytes were allocated", got)
		}
		if whole && (err != nil || d.ID != 9 || d.Size != size || len(d.Body) != 0) {
			t.Errorf("delivery %+v, %v", d, err)
		}
		if !whole && err == nil {
			t.Error("no error")
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// A panic in the midst of a command leaves nothing of it behind: the connection
// may be out of step, so it is used no more; others take its place.
func TestPanicEndsItsConnection(t *testing.T) {
	t.Parallel()
	_, p, _ := pair(t)
	pool := p.pools[0]
	var caught *panics.Error
	for range 2 * DefaultConns {
		var used *conn
		err := pool.use(t.Context(), func(c *conn) error {
			used = c
			return c.do(t.Context(), call{name: "stats", want: statsShape}, func() error { panic("a mine") })
		})
		if !errors.As(err, &caught) || !used.dead.Load() {
			t.Fatalf("%v, discarded is %v", err, used.dead.Load())
		}
		err = pool.use(t.Context(), func(*conn) error { panic("a mine") })
		if !errors.As(err, &caught) {
			t.Fatal(err)
		}
	}
	if len(pool.lent) > 0 {
		t.Errorf("%d connections are still lent", len(pool.lent))
	}
	if err := p.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func manyMessages(n int, tubes ...string) []Message {
	messages := make([]Message, n)
	for i := range messages {
		tube := tubes[i%len(tubes)]
		messages[i] = Message{Tube: tube, Body: fmt.Appendf(nil, "%s %d", tube, i)}
	}
	return messages
}
