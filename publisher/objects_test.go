package publisher

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
)

// TestFilesThatAreSentAreBounded: over HTTP/2 one connection may ask for many.
func TestFilesThatAreSentAreBounded(t *testing.T) {
	t.Parallel()
	b, addr, trust, stop := newTLS(t, func(c *Config) { c.Connections = func() int { return 28 } })
	large, _ := b.succeeded(sized(4 << 20))
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trust}, ForceAttemptHTTP2: true, DisableCompression: true,
	}}
	var open []*http.Response
	for range 4 {
		r := do(t, client, "GET", "https://"+addr+"/"+large)
		if r.StatusCode != 200 || r.ProtoMajor != 2 {
			t.Fatal(r.Status, r.Proto)
		}
		open = append(open, r)
	}
	if r := do(t, client, "GET", "https://"+addr+"/"+large); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("the fifth: %s", r.Status)
	}
	for _, r := range open {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		r.Body.Close()
	}
	b.eventually(func() bool {
		r := do(t, client, "GET", "https://"+addr+"/"+large)
		r.Body.Close()
		return r.StatusCode == 200
	})
	client.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestSlowReadersMakeRoom for files of other clients.
func TestSlowReadersMakeRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *Config) { c.Connections = func() int { return 28 } })
	addr, stop := b.serve()
	large, _ := b.succeeded(sized(4 << 20))
	var slow []net.Conn
	for range 4 {
		slow = append(slow, mustAsk(t, "127.0.0.1", addr, "/"+large, 200, "Connection: close"))
	}
	mustAsk(t, "127.0.0.1", addr, "/"+large, 503).Close()
	mustAsk(t, "127.0.0.2", addr, "/"+large, 200).Close()
	whole := 0
	for _, c := range slow {
		if n, _ := io.Copy(io.Discard, c); n > 16<<20 {
			whole++
		}
		c.Close()
	}
	if whole != 3 {
		t.Errorf("%d of 4 answers came as a whole", whole)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
