package publisher

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// dialFrom connects from one of this machine's own addresses.
func dialFrom(t testing.TB, from, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 20 * time.Second}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c
}

// askOn sends a GET and returns the head of the answer.
func askOn(t testing.TB, c net.Conn, path string, fields ...string) (*http.Response, error) {
	t.Helper()
	head := "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1:8420\r\n" + strings.Join(append(fields, ""), "\r\n") + "\r\n"
	if _, err := io.WriteString(c, head); err != nil {
		return nil, err
	}
	return http.ReadResponse(bufio.NewReader(c), nil)
}

// mustAsk is a request on a new connection that has to be answered.
func mustAsk(t testing.TB, from, addr, path string, status int, fields ...string) net.Conn {
	t.Helper()
	c := dialFrom(t, from, addr)
	r, err := askOn(t, c, path, fields...)
	if err != nil {
		t.Fatalf("%s from %s: %v", path, from, err)
	}
	if r.StatusCode != status || status == 503 && r.Header.Get("Retry-After") == "" {
		t.Fatalf("%s from %s: %d %v", path, from, r.StatusCode, r.Header)
	}
	return c
}

// TestIdleConnectionsMakeRoom checks idle connections of every kind and from every
// client.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	const limit = 8
	for name, hold := range map[string]string{
		"silent":             "",
		"slow heads":         "GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: ",
		"answered, fast":     "GET /ID HTTP/1.1\r\nHost: x\r\n\r\n",
		"answered, net/http": "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
		"slow head behind":   "GET /ID HTTP/1.1\r\nHost: x\r\n\r\nGET /ID HT",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *Config) { c.Connections = func() int { return limit } })
			addr, stop := b.serve()
			id, _ := b.succeeded(tenKiB())
			b.get("/" + id) // to have it in memory
			var held []net.Conn
			for range 3 * limit {
				c := dialFrom(t, "127.0.0.1", addr)
				if _, err := io.WriteString(c, strings.ReplaceAll(hold, "ID", id)); err != nil {
					t.Fatal(err)
				}
				if strings.Contains(hold, "\r\n\r\n") {
					if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
						t.Fatal(err)
					}
				}
				held = append(held, c)
			}
			var over atomic.Int32
			var waiting sync.WaitGroup
			for _, c := range held {
				waiting.Go(func() {
					if _, err := io.Copy(io.Discard, c); !errors.Is(err, net.ErrClosed) {
						over.Add(1)
					}
				})
			}
			b.eventually(func() bool { return over.Load() >= 2*limit })
			for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"} {
				mustAsk(t, from, addr, "/"+id, 200).Close()
				mustAsk(t, from, addr, "/healthz", 200)
			}
			if n := b.p.conns.Len(); n > limit {
				t.Errorf("%d connections", n)
			}
			if log := b.logged.String(); strings.Count(log, "as many connections as it may") != 1 {
				t.Errorf("the log has %s", log)
			}
			for _, c := range held {
				c.Close()
			}
			waiting.Wait()
			if err := stop(); err != nil {
				t.Error(err)
			}
			if n := b.p.conns.Len(); n != 0 {
				t.Errorf("%d places are taken after the end", n)
			}
		})
	}
}

// TestBusyConnectionsMakeRoomForOthers checks that busy connections make room only for
// other clients, and that a client without room gets an answer that says so.
func TestBusyConnectionsMakeRoomForOthers(t *testing.T) {
	t.Parallel()
	const limit = 4
	b := newBench(t, func(c *Config) { c.Connections = func() int { return limit } })
	addr, stop := b.serve()
	var held []net.Conn
	for range limit {
		c := dialFrom(t, "127.0.0.1", addr)
		if _, err := io.WriteString(c, "POST /api/v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	b.eventually(func() bool { return b.p.conns.Len() == limit && b.p.conns.Idle() == 0 })
	mustAsk(t, "127.0.0.1", addr, "/healthz", 503)
	mustAsk(t, "127.0.0.2", addr, "/healthz", 200)
	ended := 0
	for _, c := range held {
		if err := c.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			ended++
		}
		c.Close()
	}
	if ended != 1 {
		t.Errorf("%d requests were broken off for one newcomer", ended)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestStreamsAreShared: the client with most of them gives way, and that is the
// one behind a proxy.
func TestStreamsAreShared(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxStreams = 4 })
	addr, stop := b.serve()
	id := b.queued("")
	events := func(from, forwarded string, status int) net.Conn {
		fields := []string{"Accept: text/event-stream"}
		if forwarded != "" {
			fields = append(fields, "X-Forwarded-For: "+forwarded)
		}
		return mustAsk(t, from, addr, "/"+id+"/events", status, fields...)
	}
	for range 4 {
		events("127.0.0.1", "", 200)
	}
	events("127.0.0.1", "", 503) // the client with the most connections gets no more
	events("127.0.0.2", "", 200)
	events("127.0.0.2", "", 200)
	events("127.0.0.2", "", 503)
	events("127.0.0.1", "203.0.113.7", 200)
	events("127.0.0.1", "evil, 203.0.113.7, 10.0.0.1", 503) // the same, behind two proxies
	events("127.0.0.1", "203.0.113.8", 200)
	events("127.0.0.1", "203.0.113.9", 503) // everybody has one
	if n := b.p.Streams(); n != 4 {
		t.Errorf("%d streams", n)
	}
	// Held answers are of the same places: who is to give way is answered early.
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := b.p.Streams(); n != 0 {
		t.Errorf("%d streams after the end", n)
	}
}

func TestHeldAnswersAreShared(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.MaxStreams = 3 })
	addr, stop := b.serve()
	id := b.queued("")
	answers := make(chan *http.Response, 3)
	var all sync.WaitGroup
	for range 3 {
		c := dialFrom(t, "127.0.0.1", addr)
		all.Go(func() {
			if r, err := askOn(t, c, "/"+id, "Prefer: wait=60"); err == nil {
				answers <- r
			}
		})
	}
	b.watched(3)
	mustAsk(t, "127.0.0.2", addr, "/"+id+"/events", 200, "Accept: text/event-stream")
	if r := <-answers; r.StatusCode != http.StatusAccepted {
		t.Errorf("who gave way got %d", r.StatusCode)
	}
	// Without a place the answer comes at once.
	mustAsk(t, "127.0.0.1", addr, "/"+id, 202, "Prefer: wait=60")
	if err := stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

// TestStreamsLeaveConnectionsForOthers: however many streams there may be.
func TestStreamsLeaveConnectionsForOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Connections = func() int { return 8 } })
	addr, stop := b.serve()
	id := b.queued("")
	for range 7 {
		mustAsk(t, "127.0.0.1", addr, "/"+id+"/events", 200)
	}
	for range 5 {
		mustAsk(t, "127.0.0.1", addr, "/"+id+"/events", 503)
		mustAsk(t, "127.0.0.1", addr, "/healthz", 200)
	}
	if n := b.p.Streams(); n != 7 {
		t.Errorf("%d streams", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestConnectionsAreLimitedUnderTLS(t *testing.T) {
	t.Parallel()
	const limit = 4
	b, addr, roots, stop := newTLS(t, func(c *Config) { c.Connections = func() int { return limit } })
	var held []net.Conn
	for range 3 * limit {
		held = append(held, dialFrom(t, "127.0.0.1", addr)) // no handshake
	}
	for _, from := range []string{"127.0.0.1", "127.0.0.2"} {
		c := tls.Client(dialFrom(t, from, addr), &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
		r, err := askOn(t, c, "/healthz")
		if err != nil || r.StatusCode != 200 {
			t.Fatal(r, err)
		}
		held = append(held, c)
	}
	if n := b.p.conns.Len(); n > limit {
		t.Errorf("%d connections", n)
	}
	for _, c := range held {
		c.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestUnknownIDsMakeRoom: streams of made-up ids wait for their jobs for a while,
// but not with places that others need.
func TestUnknownIDsMakeRoom(t *testing.T) {
	t.Parallel()
	const limit = 3
	b := newBench(t, func(c *Config) { c.MaxStreams = limit })
	addr, stop := b.serve()
	id := b.queued("")
	answers := make(chan *http.Response, limit)
	var all sync.WaitGroup
	for range limit {
		c := dialFrom(t, "127.0.0.1", addr)
		all.Go(func() {
			r, err := askOn(t, c, "/"+jobs.NewID()+"/events")
			if err != nil {
				t.Error(err)
				return
			}
			answers <- r
		})
	}
	b.watched(limit)
	mustAsk(t, "127.0.0.2", addr, "/"+id+"/events", 200)
	if r := <-answers; r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("what gave way got %d %v", r.StatusCode, r.Header)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

// TestUnknownIDsHoldNothing, neither as events nor as held answers, for longer
// than a job may take from the inbox.
func TestUnknownIDsHoldNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	old := "0190163d-8694-739b-aea5-966c26f8ad91"
	for range 20 {
		mustAsk(t, "127.0.0.1", addr, "/"+jobs.NewID(), 404, "Prefer: wait=60")
		mustAsk(t, "127.0.0.1", addr, "/"+old+"/events", 404)
	}
	b.watched(0)
	if err := stop(); err != nil {
		t.Error(err)
	}
}
