package live

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a server whose every answer is a stream.
type rig struct {
	t    *testing.T
	set  *Streams
	addr string
	// open gets each stream once it has begun; gone counts those that ended.
	open chan *Stream
	gone atomic.Int64
}

func newRig(t *testing.T, lifetime time.Duration, tls bool) (*rig, *httptest.Server) {
	t.Helper()
	r := &rig{t: t, set: NewStreams(), open: make(chan *Stream, 10)}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.set.Serve(w, req, lifetime, func(s *Stream) {
			s.Send(Opening("first"))
			r.open <- s
		}, func() { r.gone.Add(1) })
	}))
	if tls {
		server.EnableHTTP2 = true
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	t.Cleanup(r.set.End)
	r.addr = server.Listener.Addr().String()
	return r, server
}

// dial opens a stream.
func (r *rig) dial() (net.Conn, *bufio.Reader, *Stream) {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { conn.Close() })
	if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != ContentType || !resp.Close {
		r.t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	return conn, bufio.NewReader(resp.Body), <-r.open
}

func (r *rig) eventually(done func() bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			r.t.Fatal("waited in vain")
		}
	}
}

func (r *rig) ended(n int64) {
	r.t.Helper()
	r.eventually(func() bool { return r.gone.Load() == n })
}
