package publisher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/publisher/internal/admission"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// TestOneWrite serves bodies of every size around that of the buffer, where a
// head and a body just fit, so that nothing is held for ever or out of order.
func TestOneWrite(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789abcdefghijklmnopqrstuvwxyz"), 1000)
	server := &http.Server{ReadHeaderTimeout: time.Minute, ConnContext: withConn}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, err := strconv.Atoi(r.URL.Query().Get("size"))
		if err != nil {
			panic(err)
		}
		b := httpio.NewCachedResponse(content[:size], time.Now(), httpio.TypeJSON, httpio.NoStore, "")
		b.Serve(w, r)
	})
	go server.Serve(oneWriteListener{Listener: ln, admitter: roomy()}) //nolint:errcheck // ends with Close
	t.Cleanup(func() { server.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	sizes := []int{0, 1, 2047, 2048, 2049, 8191, 8192, 10_000, 20_000, 36_000}
	for n := headBuffer - 400; n < headBuffer+10; n++ {
		sizes = append(sizes, n)
	}
	for _, size := range sizes {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/?size=%d", ln.Addr(), size), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, content[:size]) {
			t.Fatalf("%d bytes: %v, %d came", size, err, len(got))
		}
	}
}

func TestOneWriteHoldsOnlyWhatIsContinued(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	peer, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	accepted, err := oneWriteListener{Listener: ln, admitter: roomy()}.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	c := accepted.(*oneWriteConn)
	for _, step := range []struct {
		expect int
		text   string
		held   bool
	}{
		{0, "HTTP/1.1 200 OK\r\n\r\nab", false},
		{4, "HTTP/1.1 200 OK\r\n\r\nab", true},
		{0, "cd", false},
		{4, "HTTP/1.1 200 OK\r\n\r\nabcd", false},
		{4, "no head", false},
		{0, "later", false},
	} {
		c.expect = step.expect
		n, err := c.Write([]byte(step.text))
		if err != nil || n != len(step.text) || (c.held != nil) != step.held {
			t.Errorf("%q: %d, %v, held %v", step.text, n, err, c.held != nil)
		}
	}
	want := "HTTP/1.1 200 OK\r\n\r\nabHTTP/1.1 200 OK\r\n\r\nabcdHTTP/1.1 200 OK\r\n\r\nabcdno headlater"
	got := make([]byte, len(want))
	if _, err := io.ReadFull(peer, got); err != nil || string(got) != want {
		t.Errorf("%v: %q", err, got)
	}
}

// roomy admits every connection of a test.
func roomy() *admitter {
	return &admitter{limiter: admission.New(func() int { return MaxConnections })}
}
