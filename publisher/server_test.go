package publisher

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// serve runs a server on a free port. stop ends it and returns its error.
func (b *bench) serve() (addr string, stop func() error) {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	p, err := New(b.p.cfg)
	if err != nil {
		b.t.Fatal(err)
	}
	b.p = p
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, ln) }()
	b.t.Cleanup(cancel)
	return ln.Addr().String(), func() error {
		cancel()
		return <-ended
	}
}

func TestServeEndsItsStreams(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	id := b.queued("")
	next := streamOf(t, "http://"+addr, id)
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := next(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("the port is still open")
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	p, err := New(b.p.cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Serve(t.Context(), ln); err == nil {
		t.Error("no error")
	}
}

func TestServerHasItsLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.p.newServer()
	if s.ReadHeaderTimeout <= 0 || s.IdleTimeout <= 0 || s.WriteTimeout <= 0 || s.MaxHeaderBytes <= 0 || s.ReadTimeout != 0 {
		t.Errorf("%+v", s)
	}
	if httpio.WriteTimeout < httpio.MaxWait {
		t.Error("a held answer is cut off")
	}
}

// TestSlowHead sends a head that never ends. The server must hang up after its limit,
// which is short here.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.p.newServer()
	s.ReadHeaderTimeout = 50 * time.Millisecond
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(ln) //nolint:errcheck // ends with Close
	t.Cleanup(func() { s.Close() })
	for name, head := range map[string]string{
		"unfinished": "GET / HTTP/1.1\r\nHost: x\r\nX-A: ",
		"silent":     "",
	} {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the server did not hang up: %v", name, err)
		}
	}
}

func TestLargeHead(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-A: "+strings.Repeat("a", 2*headerBytes)+"\r\n\r\n") //nolint:errcheck // the server may hang up
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if r.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", r.StatusCode)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestAnswersOfAServer tests over a real connection what a recorder does not notice.
func TestAnswersOfAServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	id, body := b.succeeded(sized(3000))
	large, _ := b.succeeded(sized(1 << 20))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, method := range []string{"GET", "HEAD"} {
		for range 2 {
			r := do(t, client, method, "http://"+addr+"/"+id)
			if got := bodyOf(t, r); r.StatusCode != 200 || method == "GET" && got != string(body) || r.ContentLength < 100 && !r.Uncompressed {
				t.Errorf("%s: %d, %d bytes of %d", method, r.StatusCode, len(got), r.ContentLength)
			}
		}
	}
	if r := do(t, client, "GET", "http://"+addr+"/"+large); len(bodyOf(t, r)) < 1<<20 {
		t.Error("the large result is short")
	}
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func do(t *testing.T, client *http.Client, method, url string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r) //nolint:bodyclose // bodyOf closes it
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

func TestRequestsAreLoggedAtDebugOnly(t *testing.T) {
	t.Parallel()
	var out lockedBuffer
	b := newBench(t, func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	b.get("/" + strings.Repeat("x", 1000))
	if line := out.String(); !strings.Contains(line, "status=404") || len(line) > 500 {
		t.Errorf("the log has %q", line)
	}
	quiet := newBench(t)
	quiet.get("/x")
	if line := quiet.logged.String(); line != "" {
		t.Errorf("the log has %q", line)
	}
}
