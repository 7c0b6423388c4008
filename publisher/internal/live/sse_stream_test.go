package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func (r *rig) expect(lines *bufio.Reader, want string) {
	r.t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(lines, got); err != nil || string(got) != want {
		r.t.Fatalf("got %.200q, %v, want %.200q", got, err, want)
	}
}

const opened = "retry: 2000\nid: first\n\n"

func TestStreamFromItsHeadToItsEnd(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, 0, false)
	_, lines, s := r.dial()
	if s.conn == nil || s.raw == nil {
		t.Fatal("the connection is still net/http's")
	}
	r.expect(lines, opened)
	s.Send(Event("state", "1\nid: 2", []byte("{\"a\":1,\n\"b\":2}"), "state"))
	r.expect(lines, "event: state\nid: 1id: 2\ndata: {\"a\":1,\ndata: \"b\":2}\n\n")
	s.visit(time.Now().Unix(), make([]byte, 8), true)
	r.expect(lines, ":\n\n")
	s.Send(Event("state", "", []byte("end"), "state").Last())
	s.Send(Event("state", "", []byte("too late"), "state"))
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != "event: state\ndata: end\n\n" {
		t.Errorf("%q, %v", rest, err)
	}
	r.ended(1)
}

// TestStreamThatIsBehind fills the socket of a client that does not read. What
// waits is bounded: of each key the newest, and in order.
func TestStreamThatIsBehind(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, 0, false)
	_, lines, s := r.dial()
	large := []byte(strings.Repeat("x", 16<<20))
	s.Send(Event("large", "", large, ""))
	for i := range 3 * maxWaiting {
		s.Send(Event("state", fmt.Sprint(i), nil, "state"))
	}
	s.Send(Event("other", "", nil, ""))
	s.Send(Event("state", "end", nil, "state").Last())
	r.expect(lines, opened)
	r.expect(lines, "event: large\ndata: "+string(large)+"\n\n")
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != "event: other\ndata: \n\nevent: state\nid: end\ndata: \n\n" {
		t.Errorf("%q, %v", rest, err)
	}
	r.ended(1)
}

func TestStreamThatIsTooFarBehindIsCutOff(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, 0, false)
	_, lines, s := r.dial()
	s.Send(Event("large", "", make([]byte, 16<<20), ""))
	for range maxWaiting {
		s.Send(Event("event", "", nil, ""))
	}
	if r.gone.Load() != 0 {
		t.Fatal("it was cut off too early")
	}
	s.Send(Event("event", "", nil, ""))
	r.ended(1)
	if _, err := io.Copy(io.Discard, lines); err == nil {
		t.Error("the client takes a part for the whole")
	}
}

func TestClientsThatHaveGoneAreFound(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, 0, false)
	gone, _, _ := r.dial()
	stays, lines, s := r.dial()
	if _, err := stays.Write([]byte("and what I also wanted to say")); err != nil {
		t.Fatal(err)
	}
	r.set.Sweep()
	if n := r.gone.Load(); n != 0 {
		t.Fatalf("%d were taken for gone", n)
	}
	gone.Close()
	r.eventually(func() bool {
		r.set.swept = time.Time{}
		r.set.Sweep()
		return r.gone.Load() == 1
	})
	s.Send(comment)
	r.expect(lines, opened+":\n\n")
}

func TestSweepsAreRare(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, 0, false)
	r.set.Sweep()
	before := r.set.swept
	r.set.Sweep()
	if r.set.swept != before {
		t.Error("two sweeps within a second")
	}
}

func TestRunFindsWhoHasGone(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, 0, false)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { r.set.Run(ctx); close(ended) }()
	conn, _, _ := r.dial()
	conn.Close()
	r.ended(1)
	_, lines, _ := r.dial()
	cancel()
	<-ended
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != opened {
		t.Errorf("a stream ended with %q, %v", rest, err)
	}
	if r.set.spawn(func() {}) {
		t.Error("work begins after the end")
	}
}

func TestStreamsHaveALifetime(t *testing.T) {
	t.Parallel()
	r, _ := newRig(t, time.Hour, false)
	_, lines, s := r.dial()
	s.visit(time.Now().Unix(), make([]byte, 8), false)
	s.visit(time.Now().Add(time.Hour+2*time.Second).Unix(), make([]byte, 8), false)
	if rest, err := io.ReadAll(lines); err != nil || string(rest) != opened {
		t.Errorf("%q, %v", rest, err)
	}
	r.ended(1)
}

// TestStreamsThatNetHTTPKeeps are those over TLS, here with HTTP/2.
func TestStreamsThatNetHTTPKeeps(t *testing.T) {
	t.Parallel()
	for name, finish := range map[string]func(*rig, *Stream, *http.Response){
		"last message": func(_ *rig, s *Stream, _ *http.Response) { s.Send(Event("state", "", nil, "").Last()) },
		"client":       func(_ *rig, _ *Stream, resp *http.Response) { resp.Body.Close() },
		"server":       func(r *rig, _ *Stream, _ *http.Response) { r.set.End() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, server := newRig(t, time.Hour, true)
			resp, err := server.Client().Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			s, lines := <-r.open, bufio.NewReader(resp.Body)
			if s.conn != nil || resp.ProtoMajor != 2 {
				t.Fatalf("%s, connection taken: %v", resp.Proto, s.conn != nil)
			}
			r.expect(lines, opened)
			s.Send(Event("state", "", []byte("1"), ""))
			r.expect(lines, "event: state\ndata: 1\n\n")
			finish(r, s, resp)
			r.ended(1)
		})
	}
}

// stuckWriter is a client whose socket takes nothing until its deadline.
type stuckWriter struct {
	httptest.ResponseRecorder
	deadline time.Time
}

func (s *stuckWriter) SetWriteDeadline(t time.Time) error {
	s.deadline = t
	return nil
}

func (s *stuckWriter) FlushError() error {
	if s.deadline.IsZero() {
		return errors.New("no deadline was set")
	}
	return context.DeadlineExceeded
}

func TestStreamsHaveADeadline(t *testing.T) {
	t.Parallel()
	w, set := &stuckWriter{}, NewStreams()
	var gone bool
	set.Serve(w, httptest.NewRequest(http.MethodGet, "/", nil), 0, func(*Stream) { t.Error("it has begun") }, func() { gone = true })
	if left := time.Until(w.deadline); !gone || left <= 0 || left > WriteTimeout {
		t.Errorf("gone %v, %v left", gone, left)
	}
}

func TestNoStreamAfterTheEnd(t *testing.T) {
	t.Parallel()
	set := NewStreams()
	set.End()
	var gone bool
	set.Serve(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), 0, func(*Stream) { t.Error("it has begun") }, func() { gone = true })
	if !gone {
		t.Error("nobody was told")
	}
}
