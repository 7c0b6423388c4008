package queue

import (
	"bufio"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// greeting is a proper answer to the stats that begin every connection.
const greeting = "OK 23\r\n---\nid: fake\nversion: 0\r\n"

// fake misbehaves at the wire; what a proper server does is left to beanstalkd.
type fake struct {
	addr string
	cfg  Config

	mu    sync.Mutex
	conns []net.Conn
}

// peer is the fake's end of one connection.
type peer struct {
	net.Conn
	in *bufio.Reader
	// number counts the connections from 0.
	number int
}

// startFake calls script for every connection, after the stats were answered;
// the connection is closed when it returns.
func startFake(t testing.TB, script func(*peer)) *fake {
	return startRaw(t, func(p *peer) {
		if p.command() == "stats" {
			p.say(greeting)
			script(p)
		}
	})
}

// startRaw is startFake without the answer to stats.
func startRaw(t testing.TB, script func(*peer)) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	f.cfg = Config{Addrs: []string{f.addr}, Timeout: time.Hour} // a wait for nothing shall be seen
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := 0; ; n++ {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			f.mu.Lock()
			f.conns = append(f.conns, nc)
			f.mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				script(&peer{Conn: nc, in: bufio.NewReader(nc), number: n})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		for _, nc := range f.conns {
			nc.Close()
		}
		f.mu.Unlock()
		wg.Wait()
	})
	return f
}

// command reads commands up to one that is not use, watch or ignore, with the
// body of a put, and returns its first line, or "" at the end.
func (p *peer) command() string {
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			return ""
		}
		line = strings.TrimSuffix(line, "\r\n")
		switch fields := strings.Fields(line); fields[0] {
		case "use":
			p.say("USING " + fields[1] + "\r\n")
		case "watch", "ignore":
			p.say("WATCHING 1\r\n")
		case "put":
			size, _ := strconv.Atoi(fields[4])
			_, _ = io.CopyN(io.Discard, p.in, int64(size+2))
			return line
		default:
			return line
		}
	}
}

func (p *peer) say(s string) { _, _ = io.WriteString(p, s) }

// hang waits until the other side has gone.
func (p *peer) hang() { _, _ = io.Copy(io.Discard, p.in) }

// leave ends the connection in such a way that all that was said arrives.
func (p *peer) leave() {
	_ = p.Conn.(*net.TCPConn).CloseWrite()
	p.hang()
}

// reset ends the connection with a RST.
func (p *peer) reset() {
	_ = p.Conn.(*net.TCPConn).SetLinger(0)
	_ = p.Close()
}

// dialFake returns a connection to the fake.
func dialFake(t testing.TB, f *fake) *conn {
	t.Helper()
	cfg, err := f.cfg.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	c, err := dial(t.Context(), cfg, f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.discard)
	return c
}

// operations are the commands that a test tries, with a proper reply to each.
var operations = []struct {
	name, reply string
	run         func(testing.TB, *conn) error
}{
	{"reserve", "RESERVED 1234 2\r\nhi\r\n", func(tb testing.TB, c *conn) error {
		d, err := c.reserve(tb.Context(), map[string]bool{"t": true}, 0)
		if err == nil && (d.ID != 1234 || string(d.Body) != "hi") {
			tb.Errorf("delivery %+v", d)
		}
		return err
	}},
	{"reserve-job", "RESERVED 1234 2\r\nhi\r\n", func(tb testing.TB, c *conn) error {
		d, err := c.reserveJob(tb.Context(), 1234)
		if err == nil && (d.ID != 1234 || string(d.Body) != "hi") {
			tb.Errorf("delivery %+v", d)
		}
		return err
	}},
	{"stats", greeting, func(tb testing.TB, c *conn) error {
		stats, err := c.stats(tb.Context())
		if err == nil && stats["id"] != "fake" {
			tb.Errorf("stats %v", stats)
		}
		return err
	}},
	{"delete", "DELETED\r\n", func(tb testing.TB, c *conn) error { return holding(c).Delete(tb.Context()) }},
	{"release", "RELEASED\r\n", func(tb testing.TB, c *conn) error { return holding(c).Release(tb.Context(), 1, 0) }},
	{"bury", "BURIED\r\n", func(tb testing.TB, c *conn) error { return holding(c).Bury(tb.Context(), 1) }},
	{"touch", "TOUCHED\r\n", func(tb testing.TB, c *conn) error { return holding(c).Touch(tb.Context()) }},
	{"stats-job", "OK 8\r\n---\na: 1\r\n", func(tb testing.TB, c *conn) error {
		_, err := holding(c).Stats(tb.Context())
		return err
	}},
	{"list-tubes", "OK 14\r\n---\n- default\n\r\n", func(tb testing.TB, c *conn) error {
		tubes, err := c.tubes(tb.Context())
		if err == nil && !slices.Equal(tubes, []string{"default"}) {
			tb.Errorf("tubes %q", tubes)
		}
		return err
	}},
	{"pause-tube", "PAUSED\r\n", func(tb testing.TB, c *conn) error { return c.unpause(tb.Context(), "t") }},
	{"kick", "KICKED 0\r\n", func(tb testing.TB, c *conn) error { return c.kick(tb.Context(), "t", 10) }},
}

// holding makes the connection believe that it holds job 7.
func holding(c *conn) *Delivery {
	c.held.add(7)
	return &Delivery{ID: 7, conn: c}
}

// answer plays a script that waits for the operation and says reply.
func (p *peer) answer(reply string) {
	p.command()
	p.say(reply)
}
