package publisher

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/fast"
)

// listenPlain serves the same publisher by net/http alone.
func (b *bench) listenPlain() string {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	server := b.p.newServer()
	go server.Serve(oneWriteListener{Listener: ln, admitter: roomy()}) //nolint:errcheck // ends with Close
	b.t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// raw sends bytes and returns the answer: its head's lines, sorted and without
// the date, and its body.
func raw(t *testing.T, addr, request string) (head []string, body string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &seen)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body = bodyOf(t, resp)
	text, _, _ := strings.Cut(seen.String(), "\r\n\r\n")
	return comparable(text), body
}

// comparable is a head without its order and time.
func comparable(head string) []string {
	lines := strings.Split(head, "\r\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Date: ") })
	slices.Sort(lines)
	return lines
}

// TestFastAnswersAreThoseOfTheUsualWay sends each request both ways.
func TestFastAnswersAreThoseOfTheUsualWay(t *testing.T) {
	t.Parallel()
	for name, origins := range map[string][]string{"any origin": nil, "some": {"https://www.example"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *Config) { c.CORS = origins })
			fastAddr, stop := b.serve()
			plainAddr := b.listenPlain()
			id, _ := b.succeeded(tenKiB())
			small, _ := b.succeeded("1") // too small to be compressed
			etag := b.get("/" + id).Header.Get("ETag")
			gz := strings.TrimSuffix(etag, `"`) + `-gz"`
			b.get("/" + small)
			for fields, quick := range map[string]bool{
				"": true, "Accept: */*": true, "Accept: application/json;q=0.9, text/html;q=0.1": true, "Accept-Encoding: gzip, deflate, br": true,
				"Accept-Encoding: identity": true, "Accept-Encoding: gzip;q=0": true, "If-None-Match: " + etag: true, "If-None-Match: " + gz: id != "",
				"Origin: https://www.example": true, "Origin: https://evil.example": true, "Origin: null": true,
				"Accept: */*\r\nUser-Agent: curl/8.5.0": true, "Accept: */*\r\nUser-Agent: Links (2.29; Linux)": false,
				"Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\nUser-Agent: Java/17.0.9": true,
				"Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nUser-Agent: Mozilla/5.0":            false,
				"User-Agent: x\r\nAccept-Language: en\r\nCookie: a=b\r\nSec-Fetch-Mode: cors":             true,
				"Accept: text/html": false, "If-None-Match: W/" + etag: false, "If-None-Match: *": false, "If-None-Match: \"x\", " + etag: false,
				"Range: bytes=0-9": false, "If-Modified-Since: Sun, 22 Nov 2099 06:16:00 GMT": false, "Prefer: wait=1": false, "Connection: close": false,
			} {
				for _, id := range []string{id, small} {
					request := "GET /" + id + " HTTP/1.1\r\nHost: " + fastAddr + "\r\n" + fields + "\r\n\r\n"
					if fields == "" {
						request = "GET /" + id + " HTTP/1.1\r\nHost: " + fastAddr + "\r\n\r\n"
					}
					before := b.p.ServedFast()
					head, body := raw(t, fastAddr, request)
					if took := b.p.ServedFast() > before; took != (quick && (id != small || !strings.HasPrefix(fields, "If-None-Match"))) {
						t.Errorf("%s, %q: answered below net/http: %v", id, fields, took)
					}
					wantHead, wantBody := raw(t, plainAddr, request)
					if !slices.Equal(head, wantHead) || body != wantBody {
						t.Errorf("%q: got %q with %d bytes, want %q with %d", fields, head, len(body), wantHead, len(wantBody))
					}
				}
			}
			if err := stop(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestNothingIsFastThatNeedsALook are nodes whose every request the usual way
// has to see, and ids that are no results in memory.
func TestNothingIsFastThatNeedsALook(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	addr, stop := b.serve()
	failed, queued, cold := b.failed(), b.queued(""), jobs.NewID()
	for _, id := range []string{failed, queued, cold} {
		for range 2 {
			raw(t, addr, "GET /"+id+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
		}
	}
	if n := b.p.ServedFast(); n != 0 {
		t.Errorf("%d answers", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestSignedURLsAreNeverFast(t *testing.T) {
	t.Parallel()
	b, _ := newSigned(t)
	id, _ := b.succeeded(tenKiB())
	addr, stop := b.serve()
	for range 2 {
		if head, _ := raw(t, addr, "GET /"+id+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); slices.Contains(head, "HTTP/1.1 200 OK") {
			t.Errorf("got %q", head)
		}
	}
	if n := b.p.ServedFast(); n != 0 {
		t.Errorf("%d answers", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// FuzzFastAnswer: what is answered for below net/http is answered for in the
// same way above it.
func FuzzFastAnswer(f *testing.F) {
	b := newBench(f)
	id, _ := b.succeeded(tenKiB())
	etag := b.get("/" + id).Header.Get("ETag")
	for _, fields := range []string{
		"", "Accept: */*\r\n", "Accept: text/html, */*;q=0.8\r\n", "Accept-Encoding: gzip\r\n", "If-None-Match: " + etag + "\r\n", "Origin: null\r\n",
		"User-Agent: Links (2.29)\r\nAccept: */*\r\n", "Accept: text/html, *; q=.2\r\nUser-Agent: Java/17\r\n",
	} {
		f.Add("Host: x\r\n" + fields)
	}
	f.Fuzz(func(t *testing.T, fields string) {
		text := strings.ReplaceAll("GET /"+id+" HTTP/1.1\r\n"+fields+"\r\n", "TAG", etag)
		var r fast.Request
		if !fast.Parse([]byte(text), &r) {
			return
		}
		got := b.p.fastAnswer(&r)
		if got.Head == nil {
			return
		}
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		want := answerWriter{h: http.Header{}, status: http.StatusOK}
		b.p.serve(&want, request)
		if !bytes.Equal(got.Head, want.head()) || !bytes.Equal(got.Body, want.body) {
			t.Errorf("got %q with %d bytes, want %q with %d", got.Head, len(got.Body), want.head(), len(want.body))
		}
	})
}

// FuzzResultPath: however a path is spelled, the router and what stands before
// it take it for the same.
func FuzzResultPath(f *testing.F) {
	b := newBench(f)
	id, body := b.succeeded(tenKiB())
	b.get("/" + id)
	for _, path := range []string{"/ID", "/results/ID", "/results%2fID", "/results%252FID", "/%49D", "//ID", "/results//ID", "/./ID", "/x/../ID", "/ID/", "/ID%2f", "/ID;x", "/results/ID?"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		request, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + strings.ReplaceAll(path, "ID", id) + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			return
		}
		got, want := answerWriter{h: http.Header{}, status: http.StatusOK}, answerWriter{h: http.Header{}, status: http.StatusOK}
		if !b.p.serveCached(&got, request) {
			return
		}
		b.p.echo.ServeHTTP(&want, request)
		if got.status != want.status || !bytes.Equal(want.body, body) || !bytes.Equal(got.body, body) {
			t.Errorf("%s: %d with %d bytes, by the router %d with %d", path, got.status, len(got.body), want.status, len(want.body))
		}
	})
}
