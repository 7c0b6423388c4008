package fastpath

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type listener struct {
	net.Listener
	fast *Server
}

func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.fast.Wrap(c.(*net.TCPConn)), nil
}

// testServer is a server that answers "fast" for anID and "slow" by net/http.
type testServer struct {
	t      *testing.T
	fast   *Server
	server *http.Server
	addr   string
	count  atomic.Int64
}

const long = time.Minute

func newTestServer(t *testing.T, body string, header, idle, write time.Duration) *testServer {
	t.Helper()
	r := &testServer{t: t}
	r.fast = &Server{Served: &r.count, HeaderTimeout: header, IdleTimeout: idle, WriteTimeout: write}
	r.fast.Answer = func(q *Request) Answer {
		if string(q.ID) != anID {
			return Answer{}
		}
		return Answer{Head: fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n", len(body)), Body: []byte(body)}
	}
	r.server = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			got, _ := io.ReadAll(q.Body)
			fmt.Fprintf(w, "slow %s %s%s", q.Method, q.URL.Path, got)
		}),
		ReadHeaderTimeout: header, IdleTimeout: idle, WriteTimeout: write,
		ConnState: func(c net.Conn, s http.ConnState) { c.(*Conn).State(s) },
	}
	r.server.RegisterOnShutdown(r.fast.Shutdown)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = ln.Addr().String()
	go r.server.Serve(listener{ln, r.fast}) //nolint:errcheck // ends with Close
	t.Cleanup(func() { r.server.Close(); r.fast.Wait() })
	return r
}

func (r *testServer) dial() (*net.TCPConn, *bufio.Reader) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	return c.(*net.TCPConn), bufio.NewReader(c)
}

func (r *testServer) send(c net.Conn, text string) {
	r.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		r.t.Fatal(err)
	}
}

func (r *testServer) expect(in *bufio.Reader, want string) {
	r.t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		r.t.Fatalf("%v, want %s", err, want)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || string(got) != want || resp.Header.Get("Date") == "" {
		r.t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

const (
	quick = line + host + "\r\n"
	other = "GET /other HTTP/1.1\r\n" + host + "\r\n"
)

// TestBothWaysOnOneConnection has requests come in all the ways in which one
// may end and the next begin.
func TestBothWaysOnOneConnection(t *testing.T) {
	t.Parallel()
	post := "POST /p HTTP/1.1\r\n" + host + fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(quick), quick)
	for name, steps := range map[string]struct {
		send  []string // each in a packet of its own
		want  []string
		count int64
	}{
		"fast":                             {[]string{quick, quick}, []string{"fast", "fast"}, 2},
		"pipelined":                        {[]string{quick + quick, quick}, []string{"slow GET /" + anID, "slow GET /" + anID, "slow GET /" + anID}, 0},
		"slow and pipelined":               {[]string{other + quick, quick}, []string{"slow GET /other", "slow GET /" + anID, "slow GET /" + anID}, 0},
		"a body that looks like a request": {[]string{post, quick}, []string{"slow POST /p" + quick, "slow GET /" + anID}, 0},
		"a body that comes later":          {[]string{post[:len(post)-len(quick)], quick, quick}, []string{"slow POST /p" + quick, "slow GET /" + anID}, 0},
		"half a request behind another":    {[]string{other + other[:30], "A: b\r\n\r\n"}, []string{"slow GET /other", "slow GET /other"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestServer(t, "fast", long, long, long)
			c, in := r.dial()
			answered := 0
			for i, part := range steps.send {
				if name == "half a request behind another" && i == 1 {
					part = other[30:]
				}
				r.send(c, part)
				// All that can be answered is, before the next part comes.
				for answered < len(steps.want) && answered < i+1 && len(steps.send) <= len(steps.want) {
					r.expect(in, steps.want[answered])
					answered++
				}
			}
			for ; answered < len(steps.want); answered++ {
				r.expect(in, steps.want[answered])
			}
			if got := r.count.Load(); got != steps.count {
				t.Errorf("%d requests were answered below net/http, want %d", got, steps.count)
			}
		})
	}
}

// TestABodyBehindBareLineFeeds: net/http takes a bare line feed for the end of a
// line, so what ends like one head may be two, and a body may follow.
func TestABodyBehindBareLineFeeds(t *testing.T) {
	t.Parallel()
	post := "POST /p HTTP/1.1\r\n" + host + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(quick))
	for _, first := range []string{
		"GET /other HTTP/1.1\nHost: x\n\n",
		"GET /other HTTP/1.1\r\nHost: x\n\r\n",
		"GET /other HTTP/1.1\nHost: x\r\n\n",
	} {
		r := newTestServer(t, "fast", long, long, long)
		c, in := r.dial()
		r.send(c, first+post)
		r.expect(in, "slow GET /other")
		r.send(c, quick)
		r.expect(in, "slow POST /p"+quick)
		r.send(c, quick)
		r.expect(in, "slow GET /"+anID)
		if n := r.count.Load(); n != 0 {
			t.Errorf("%q: %d requests were answered below net/http", first, n)
		}
	}
}

// TestTurnByTurn: after an answer of net/http the next request is answered by
// either, as it happens to come before or after net/http has noticed the end of
// its own; in time it is the fast way again.
func TestTurnByTurn(t *testing.T) {
	t.Parallel()
	r := newTestServer(t, "fast", long, long, long)
	c, in := r.dial()
	for range 200 {
		r.send(c, other)
		r.expect(in, "slow GET /other")
		before := r.count.Load()
		r.send(c, quick)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		if want := "slow GET /" + anID; r.count.Load() > before {
			want = "fast"
			if string(got) != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		} else if string(got) != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	if r.count.Load() == 0 {
		t.Error("it is never the fast way")
	}
}

// ends reports what the server does to a connection before the deadline.
func (r *testServer) ends(in io.Reader) {
	r.t.Helper()
	if _, err := io.Copy(io.Discard, in); errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Error("the server does not hang up")
	}
}

func TestSlowHeads(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"silent": "", "unfinished": quick[:30], "after an answer": quick + "", "unfinished after one": quick} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle := long
			if name == "after an answer" {
				idle = 50 * time.Millisecond
			}
			r := newTestServer(t, "fast", 50*time.Millisecond, idle, long)
			c, in := r.dial()
			r.send(c, text)
			if text == quick {
				r.expect(in, "fast")
			}
			if name == "unfinished after one" {
				r.send(c, quick[:30])
			}
			r.ends(in)
		})
	}
}

// TestAnIdleConnectionMayRest: the limit for heads does not end one that has
// been answered.
func TestAnIdleConnectionMayRest(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	r := newTestServer(t, "fast", limit, long, long)
	c, in := r.dial()
	r.send(c, quick)
	r.expect(in, "fast")
	<-time.After(2 * limit) // the time is what is tested
	r.send(c, quick)
	r.expect(in, "fast")
}

func TestAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r := newTestServer(t, strings.Repeat("x", 16<<20), long, long, 100*time.Millisecond)
	c, in := r.dial()
	r.send(c, quick)
	for gone := false; !gone; time.Sleep(time.Millisecond) {
		r.fast.mu.Lock()
		gone = r.count.Load() == 1 && len(r.fast.conns) == 0
		r.fast.mu.Unlock()
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("all of it came")
	}
}

func TestShutdown(t *testing.T) {
	t.Parallel()
	r := newTestServer(t, "fast", long, long, long)
	resting, in := r.dial()
	r.send(resting, quick)
	r.expect(in, "fast")
	both, in2 := r.dial()
	r.send(both, quick)
	r.expect(in2, "fast")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // less than net/http gives a new connection
	defer cancel()
	if err := r.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	r.ends(in)
	r.ends(in2)
}

// TestAnAnswerUnderWayIsFinished closes the connection while its client is
// still reading.
func TestAnAnswerUnderWayIsFinished(t *testing.T) {
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
	r := newTestServer(t, string(body), long, long, long)
	c, in := r.dial()
	r.send(c, quick)
	resp, err := http.ReadResponse(in, nil) // it has begun
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		err := r.server.Shutdown(ctx)
		r.fast.Wait()
		ended <- err
	}()
	for !r.fast.ended.Load() {
		time.Sleep(time.Millisecond)
	}
	got, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes of %d, %v", len(got), len(body), err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.ends(in)
}
