package publisher

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// listenPlain serves what b serves by net/http and the router alone.
func (b *bench) listenPlain() string {
	b.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.t.Fatal(err)
	}
	server := b.p.newServer()
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		httpio.SetSecurityHeaders(w.Header(), r)
		b.p.echo.ServeHTTP(w, r)
	})
	go server.Serve(oneWriteListener{Listener: ln, admitter: roomy()}) //nolint:errcheck // ends with Close
	b.t.Cleanup(func() { server.Close() })
	return ln.Addr().String()
}

// raw sends a request and returns the answer: the sorted lines of its head without the
// date, and its body.
func raw(t *testing.T, addr, request string) (head []string, body string) {
	t.Helper()
	return firstAnswer(t, addr, request, nil)
}

// comparable returns the lines of a head without their order and the date.
func comparable(head string) []string {
	lines := strings.Split(head, "\r\n")
	lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Date: ") })
	slices.Sort(lines)
	return lines
}

// TestFastAnswersEqualThoseOfNetHTTP sends each request to both.
func TestFastAnswersEqualThoseOfNetHTTP(t *testing.T) {
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

// TestOtherJobsAreNeverFast asks for ids that are no results in memory.
func TestOtherJobsAreNeverFast(t *testing.T) {
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

// TestFastResultsOff: without the fast path, the router answers the same requests.
func TestFastResultsOff(t *testing.T) {
	t.Parallel()
	var observed atomic.Int64
	b := newBench(t, func(c *Config) {
		c.NoFastResults = true
		c.Observe = func(string, string, int, time.Duration) { observed.Add(1) }
	})
	id, want := b.succeeded(tenKiB())
	addr, stop := b.serve()
	for range 3 {
		if head, body := raw(t, addr, "GET /"+id+" HTTP/1.1\r\nHost: "+addr+"\r\n\r\n"); !slices.Contains(head, "HTTP/1.1 200 OK") || body != string(want) {
			t.Errorf("got %q with %d bytes", head, len(body))
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if fast, memory, n := b.p.ServedFast(), b.p.FromMemory(), observed.Load(); fast != 0 || memory != 0 || n != 3 {
		t.Errorf("%d by the fast path, %d from memory, %d by the router", fast, memory, n)
	}
}

// FuzzFastPath sends the same bytes to the fast path and to net/http. If the fast path
// answers, both answers have the same status, fields except Date, and body.
func FuzzFastPath(f *testing.F) {
	b := newBench(f)
	id, _ := b.succeeded(tenKiB())
	fastAddr, stop := b.serve()
	f.Cleanup(func() {
		if err := stop(); err != nil {
			f.Error(err)
		}
	})
	plainAddr := b.listenPlain()
	etag := b.get("/" + id).Header.Get("ETag")
	const line = "GET /ID HTTP/1.1\r\n"
	for _, fields := range []string{
		"", "Accept: */*\r\n", "Accept: text/html, */*;q=0.8\r\n", "Accept-Encoding: gzip\r\n", "If-None-Match: \"TAG\"\r\n", "If-None-Match: \"TAG-gz\"\r\n",
		"User-Agent: Links (2.29)\r\nAccept: */*\r\n", "Accept: text/html, *; q=.2\r\nUser-Agent: Java/17\r\n", "Origin: null\r\n", "Connection: keep-alive\r\n",
	} {
		f.Add(line + "Host: x\r\n" + fields + "\r\n")
	}
	for _, request := range []string{line + "Host: x\r\n\r\n" + line + "Host: x\r\n\r\n", line + "Host: x\n\n", "GET /results/ID HTTP/1.1\r\nHost: x\r\n\r\n", "HEAD /ID HTTP/1.1\r\nHost: x\r\n\r\n"} {
		f.Add(request)
	}
	f.Fuzz(func(t *testing.T, request string) {
		request = strings.NewReplacer("ID", id, "TAG", strings.Trim(etag, `"`)).Replace(request)
		if len(request) == 0 || len(request) > 4000 { // comes in one read
			return
		}
		before := b.p.ServedFast()
		head, body := firstAnswer(t, fastAddr, request, func() bool { return b.p.ServedFast() > before })
		if b.p.ServedFast() == before {
			return // net/http got all of it
		}
		wantHead, wantBody := firstAnswer(t, plainAddr, request, nil)
		if !slices.Equal(head, wantHead) || body != wantBody {
			t.Errorf("%q: got %q with %d bytes, want %q with %d", request, head, len(body), wantHead, len(wantBody))
		}
	})
}

// firstAnswer returns the first answer to bytes that may be no request. With read, it
// closes its side for writing, so that every server ends, and reads the answer only where
// read returns true.
func firstAnswer(t *testing.T, addr, request string, read func() bool) (head []string, body string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	if read != nil {
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	var seen bytes.Buffer
	resp, err := http.ReadResponse(bufio.NewReader(io.TeeReader(c, &seen)), nil)
	if read != nil && !read() {
		return nil, ""
	}
	if err != nil {
		t.Fatal(err)
	}
	body = bodyOf(t, resp)
	text, _, _ := strings.Cut(seen.String(), "\r\n\r\n")
	return comparable(text), body
}

// FuzzResultPath: a path means the same to the cache and to the router, in every spelling.
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
		got, want := httptest.NewRecorder(), httptest.NewRecorder()
		if !b.p.results.ServeCached(got, request) {
			return
		}
		b.p.echo.ServeHTTP(want, request)
		if got.Code != want.Code || !bytes.Equal(want.Body.Bytes(), body) || !bytes.Equal(got.Body.Bytes(), body) {
			t.Errorf("%s: %d with %d bytes, by the router %d with %d", path, got.Code, got.Body.Len(), want.Code, want.Body.Len())
		}
	})
}
