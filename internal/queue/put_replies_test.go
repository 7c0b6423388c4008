package queue

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const inserted = "INSERTED 1234\r\n"

// putOne puts one message through a new producer, and tries a failed connection once.
func putOne(t *testing.T, f *fake, timeout time.Duration) error {
	t.Helper()
	cfg := f.cfg
	cfg.Timeout = timeout
	p := newProducer(t, cfg)
	r, err := p.Put(t.Context(), Message{Tube: "t", Body: []byte("x")})
	if want := (Receipt{f.addr, "fake", 1234}); err == nil && r != want || err != nil && r != (Receipt{}) {
		t.Errorf("receipt %+v, %v", r, err)
	}
	_ = p.Close()
	return err
}

// A reply that is cut anywhere means that the message may have been put.
func TestCutPutReplies(t *testing.T) {
	t.Parallel()
	for ending, end := range map[string]func(*peer){"closed": func(*peer) {}, "reset": (*peer).reset} {
		t.Run(ending, func(t *testing.T) {
			t.Parallel()
			for offset := range len(inserted) {
				f := startFake(t, func(p *peer) { p.answer(inserted[:offset]); end(p) })
				err := putOne(t, f, time.Hour)
				if !errors.Is(err, ErrMaybePut) || errors.Is(err, ErrReply) {
					t.Errorf("after %q: %v", inserted[:offset], err)
				}
			}
		})
	}
}

// A server that stops in the middle is given up after Config.Timeout.
func TestHangingPutReplies(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"", "INSERTED 12"} {
		f := startFake(t, func(p *peer) { p.answer(said); p.hang() })
		err := putOne(t, f, 20*time.Millisecond)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, ErrMaybePut) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("after %q: %v", said, err)
		}
	}
}

// An answer that the protocol does not allow ends the connection.
func TestGarbageForPuts(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"\r\n", "\n", "HTTP/1.1 400 Bad Request\r\n\r\n", "INSERTED 1\n", "INSERTED\r\n", "INSERTED 0\r\n", "INSERTED -1\r\n",
		"INSERTED 1 2\r\n", "INSERTED 12x\r\n", "INSERTED 18446744073709551616\r\n", "inserted 1\r\n", "BAD_FORMAT\r\n", "USING t\r\n",
		"JOB_TOO_BIG \r\n", "NOT_FOUND\r\n", "OUT_OF_MEMORY\n", strings.Repeat("x", 10_000), "INSERTED " + strings.Repeat("1", 10_000) + "\r\n",
	} {
		f := startFake(t, func(p *peer) { p.answer(line); p.hang() })
		if err := putOne(t, f, time.Hour); !errors.Is(err, ErrReply) || !errors.Is(err, ErrMaybePut) {
			t.Errorf("%.80q: %v", line, err)
		}
	}
}

// A refusal is definite, and the connection goes on.
func TestServerRefusesPuts(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]error{
		"JOB_TOO_BIG\r\n": ErrTooBig, "DRAINING\r\n": ErrDraining, "INTERNAL_ERROR\r\n": ErrRefused, "OUT_OF_MEMORY\r\n": ErrFull,
	} {
		f := startFake(t, func(p *peer) {
			if p.number > 0 {
				t.Error("a second connection was made")
			}
			p.answer(reply)
			p.answer("INSERTED 7\r\n")
			p.hang()
		})
		p := newProducer(t, f.cfg)
		_, err := p.Put(t.Context(), Message{Tube: "t"})
		if !errors.Is(err, want) || errors.Is(err, ErrMaybePut) {
			t.Errorf("%q: %v", reply, err)
		}
		if r, err := p.Put(t.Context(), Message{Tube: "t"}); r.ID != 7 {
			t.Errorf("after %q: %+v, %v", reply, r, err)
		}
	}
}

// A server without memory may have said so to the use before the put, and then the put
// went to another tube. A message that is buried is there.
func TestNoMemoryMayBePut(t *testing.T) {
	t.Parallel()
	f := startRaw(t, func(p *peer) {
		p.command()
		p.say(greeting)
		_, _ = p.in.ReadString('\n') // use
		p.say("OUT_OF_MEMORY\r\nINSERTED 5\r\n")
		p.hang()
	})
	buried := startFake(t, func(p *peer) { p.answer("BURIED 5\r\n"); p.hang() })
	for _, f := range []*fake{f, buried} {
		if err := putOne(t, f, time.Hour); !errors.Is(err, ErrFull) || !errors.Is(err, ErrMaybePut) {
			t.Errorf("got %v", err)
		}
	}
}

// Answers that come before their commands were sent harm nobody.
func TestAnsweredTooSoon(t *testing.T) {
	t.Parallel()
	const messages = 200
	f := startFake(t, func(p *peer) {
		for i := range messages {
			p.say(fmt.Sprintf("INSERTED %d\r\n", i+1))
		}
		p.hang()
	})
	p := newProducer(t, f.cfg)
	// Whether the answers are seen to be too early is a matter of luck.
	if _, err := p.PutAll(t.Context(), manyMessages(messages, "default")); err != nil && !errors.Is(err, ErrReply) {
		t.Error(err)
	}
}

// PutAll says exactly which messages were acknowledged before the end.
func TestPutAllCutShort(t *testing.T) {
	t.Parallel()
	const messages, answered = 500, 137
	f := startFake(t, func(p *peer) {
		for i := range answered {
			if p.number > 0 {
				break
			}
			p.command()
			p.say(fmt.Sprintf("INSERTED %d\r\n", i+1))
		}
		p.leave()
	})
	p := newProducer(t, f.cfg)
	outcomes, err := p.PutAll(t.Context(), manyMessages(messages, "t"))
	if err == nil || len(outcomes) != messages {
		t.Fatalf("%d outcomes, %v", len(outcomes), err)
	}
	for i, o := range outcomes {
		if i < answered && (o.ID != uint64(i+1) || o.Err != nil) || i >= answered && (o.ID != 0 || o.Err == nil) {
			t.Fatalf("outcome %d: %+v", i, o)
		}
	}
}

// A refused message has its own outcome. The others are put, and the connection stays in
// step.
func TestPutAllRefused(t *testing.T) {
	t.Parallel()
	const refused = "no"
	f := startFake(t, func(p *peer) {
		for id := 1; ; id++ {
			switch line := p.command(); {
			case line == "":
				return
			case strings.HasSuffix(line, fmt.Sprint(" ", len(refused))):
				p.say("JOB_TOO_BIG\r\n")
			default:
				p.say(fmt.Sprintf("INSERTED %d\r\n", id))
			}
		}
	})
	p := newProducer(t, f.cfg)
	for round := range 100 {
		messages := manyMessages(300, "t")
		messages[round].Body = []byte(refused)
		outcomes, err := p.PutAll(t.Context(), messages)
		if !errors.Is(err, ErrTooBig) || errors.Is(err, ErrMaybePut) {
			t.Fatal(err)
		}
		for i, o := range outcomes {
			if i == round != errors.Is(o.Err, ErrTooBig) || i == round != (o.ID == 0) {
				t.Fatalf("refused %d: outcome %d is %+v", round, i, o)
			}
		}
	}
	if q := p.queues[0]; q.numbers != len(q.conns) {
		t.Errorf("%d connections of %d are left", len(q.conns), q.numbers)
	}
}

// What one server acknowledged is not put again on the next.
func TestPutAllGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	const messages, first = 300, 137
	script := func(most int) func(*peer) {
		return func(p *peer) {
			if p.number > 0 || p.command() != "stats" {
				return
			}
			p.say(greeting)
			for i := 0; i < most && p.command() != ""; i++ {
				p.say(fmt.Sprintf("INSERTED %d\r\n", i+1))
			}
			p.leave()
		}
	}
	one, two := startRaw(t, script(first)), startRaw(t, script(messages))
	p := newProducer(t, Config{Addrs: []string{one.addr, two.addr}})
	outcomes, err := p.PutAll(t.Context(), manyMessages(messages, "t"))
	if err != nil {
		t.Fatal(err)
	}
	for i, o := range outcomes {
		want := Receipt{one.addr, "fake", uint64(i + 1)}
		if i >= first {
			want = Receipt{two.addr, "fake", uint64(i + 1 - first)}
		}
		if o.Receipt != want || o.Err != nil {
			t.Fatalf("outcome %d: %+v, want %+v", i, o, want)
		}
	}
}

// A caller who leaves does not end the connection, and the answer that it did not wait for
// is not taken for that of the next put.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	asked, say := make(chan bool), make(chan bool)
	f := startFake(t, func(p *peer) {
		if p.number > 0 {
			t.Error("a second connection was made")
		}
		p.command()
		asked <- true
		<-say
		p.say("INSERTED 1\r\n")
		p.answer("INSERTED 2\r\n")
		p.hang()
	})
	f.cfg.Conns = 1
	p := newProducer(t, f.cfg)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := p.Put(ctx, Message{Tube: "t"}); !errors.Is(err, context.Canceled) || !errors.Is(err, ErrMaybePut) {
		t.Errorf("got %v", err)
	}
	if _, err := p.Put(ctx, Message{Tube: "t"}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrMaybePut) {
		t.Errorf("a context that had ended before: %v", err)
	}
	close(say)
	if r := must[Receipt](t)(p.Put(t.Context(), Message{Tube: "t"})); r.ID != 2 {
		t.Errorf("receipt %+v", r)
	}
}

// Close waits for puts that are under way, and refuses others.
func TestCloseWaitsForPuts(t *testing.T) {
	t.Parallel()
	const puts = 3
	asked, say := make(chan bool), make(chan bool)
	f := startFake(t, func(p *peer) {
		for range puts {
			p.command()
			asked <- true
		}
		<-say
		p.say("INSERTED 1\r\nINSERTED 2\r\nINSERTED 3\r\n")
		p.hang()
	})
	f.cfg.Conns = 1
	p := newProducer(t, f.cfg)
	failed := make(chan error)
	for range puts {
		go func() {
			_, err := p.Put(t.Context(), Message{Tube: "t"})
			failed <- err
		}()
		<-asked
	}
	closed := make(chan bool)
	go func() { _ = p.Close(); close(closed) }()
	for !p.isClosed() {
		time.Sleep(time.Millisecond)
	}
	if _, err := p.Put(t.Context(), Message{Tube: "t"}); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	close(say)
	for range puts {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	<-closed
}

func (p *Producer) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

var puttable = regexp.MustCompile(`^INSERTED [0-9]+$`)

// FuzzPutAnswer: a line is an id, a refusal, a notice, or an error, and never two of them.
func FuzzPutAnswer(f *testing.F) {
	for _, line := range []string{"INSERTED 1", "INSERTED 0", "USING t", "OUT_OF_MEMORY", "BURIED 5", "DRAINING", "", "INSERTED 18446744073709551616"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		a, err := parsePutAnswer([]byte(line + "\r\n"))
		if err != nil {
			if !errors.Is(err, ErrReply) && !errors.Is(err, ErrFull) {
				t.Fatalf("%q: %v", line, err)
			}
			return
		}
		kinds := []bool{a.id != 0, a.err != nil, a.notice}
		if slices.Index(kinds, true) < 0 || slices.Contains(kinds[slices.Index(kinds, true)+1:], true) {
			t.Fatalf("%q: %+v", line, a)
		}
		if id, _ := strconv.ParseUint(strings.TrimPrefix(line, "INSERTED "), 10, 64); a.id != 0 && (!puttable.MatchString(line) || a.id != id) {
			t.Fatalf("%q: %+v", line, a)
		}
	})
}
