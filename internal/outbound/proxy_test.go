package outbound

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// testProxy answers in the place of all servers, and leads what wants a tunnel to target.
type testProxy struct {
	url    *url.URL
	target string // host:port
	status int    // of its refusal; 0: none

	mu    sync.Mutex
	asked []string
	auth  string
}

func newProxy(t *testing.T, target string) *testProxy {
	t.Helper()
	p := &testProxy{target: target}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	var err error
	if p.url, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *testProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked, p.auth = append(p.asked, r.Method+" "+r.RequestURI), r.Header.Get("Proxy-Authorization")
	p.mu.Unlock()
	switch {
	case p.status != 0:
		w.WriteHeader(p.status)
	case r.Method == http.MethodConnect:
		p.tunnel(w)
	case r.URL.Path == "/metadata":
		http.Redirect(w, r, "http://169.254.169.254/", http.StatusFound)
	}
}

func (p *testProxy) tunnel(w http.ResponseWriter) {
	there, err := net.Dial("tcp", p.target)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { io.Copy(there, here); there.(*net.TCPConn).CloseWrite() }()
	io.Copy(here, there)
}

func (p *testProxy) seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.asked...)
}

func TestProxyAsksInOurPlace(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	p := newProxy(t, server.Listener.Addr().String())
	p.url.User = url.UserPassword("node", "geheim")
	client := NewClient(Config{Proxy: p.url})
	client.Transport.(*transport).base.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig
	// Names that only the proxy knows; example.com is in the test's certificate.
	for _, address := range []string{"http://files.invalid/a", "http://8.8.8.8/b", "http://[64:ff9b::8.8.8.8]/c"} {
		if err := get(t, client, address); err != nil {
			t.Error(err)
		}
	}
	client.Transport.(*transport).base.TLSClientConfig.ServerName = "example.com"
	if err := get(t, client, "https://files.invalid/d"); err != nil {
		t.Error(err)
	}
	want := "GET http://files.invalid/a, GET http://8.8.8.8/b, GET http://[64:ff9b::8.8.8.8]/c, CONNECT files.invalid:443"
	if got := strings.Join(p.seen(), ", "); got != want {
		t.Errorf("asked for %s", got)
	}
	if p.auth != "Basic "+base64.StdEncoding.EncodeToString([]byte("node:geheim")) {
		t.Errorf("it says who it is as %q", p.auth)
	}
}

// TestProxyIsNotAskedForTheOwnNetwork: it looks names up where nobody checks them.
func TestProxyIsNotAskedForTheOwnNetwork(t *testing.T) {
	t.Parallel()
	p := newProxy(t, "")
	client := NewClient(Config{
		Proxy: p.url, Listener: "0.0.0.0:8420", Beanstalkd: []string{"beanstalkd.invalid:11400"},
		Allow: networks("10.0.0.0/8"),
	})
	for _, address := range []string{
		"http://169.254.169.254/", "http://127.0.0.1/", "http://localhost/", "http://a.localhost./", "http://LOCALHOST", "http://[::1]/", "http://[::]/", "http://0.0.0.0/",
		"http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://[fe80::1%25eth0]/",
		"http://[::ffff:10.1.2.3]/", "http://[64:ff9b::10.1.2.3]/", "http://[64:ff9b::169.254.169.254]/", "http://[2002:7f00:1::]/",
		"https://192.168.1.1/", "http://①②⑦.⓪.⓪.①/", "http://files.invalid:11300/", "http://beanstalkd.invalid:11400/", "http://BEANSTALKD.invalid.:11400/",
		"http://files.invalid/metadata",
	} {
		if err := get(t, client, address); !Forbidden(err) || Transient(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if got := strings.Join(p.seen(), ", "); got != "GET http://files.invalid/metadata" {
		t.Errorf("the proxy was asked for %s", got)
	}
}

// TestAllowedNetworkNeedsNoProxy: a proxy leads out of the own network.
func TestAllowedNetworkNeedsNoProxy(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	p := newProxy(t, "")
	client := NewClient(Config{Proxy: p.url, Allow: loopback.Allow})
	for _, address := range []string{server.URL, strings.Replace(server.URL, "127.0.0.1", "localhost", 1)} {
		if err := get(t, client, address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	if got := p.seen(); len(got) > 0 {
		t.Errorf("the proxy was asked for %v", got)
	}
}

func TestProxyFaults(t *testing.T) {
	t.Parallel()
	p := newProxy(t, "")
	for status, transient := range map[int]bool{407: true, 403: false, 503: true} {
		p.status = status
		p.url.User = url.UserPassword("node", "geheim")
		for _, address := range []string{"http://files.invalid/", "https://files.invalid/"} {
			err := get(t, NewClient(Config{Proxy: p.url}), address)
			if err == nil && status != 407 {
				continue // of http the server itself may have said so
			}
			if err == nil || Transient(err) != transient || !strings.Contains(err.Error(), "proxy") || strings.Contains(err.Error(), "geheim") {
				t.Errorf("%d, %s: %v", status, address, err)
			}
		}
	}
	gone, err := url.Parse("http://node:geheim@127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	err = get(t, NewClient(Config{Proxy: gone}), "http://files.invalid/")
	if err == nil || !Transient(err) || !strings.Contains(err.Error(), "RUNNERBEAN_FETCH_PROXY") || strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("a proxy that is away: %v", err)
	}
}

// TestStatusOfAProxyFromAServer: a server that answers 407 itself is not the proxy,
// and answers so again.
func TestStatusOfAProxyFromAServer(t *testing.T) {
	t.Parallel()
	for name, server := range map[string]*httptest.Server{
		"http":  httptest.NewServer(refuse407),
		"https": httptest.NewTLSServer(refuse407),
	} {
		t.Cleanup(server.Close)
		p := newProxy(t, server.Listener.Addr().String())
		for way, cfg := range map[string]Config{
			"no proxy": loopback, "around it": {Proxy: p.url, Allow: loopback.Allow}, "through it": {Proxy: p.url},
		} {
			address := server.URL
			if way == "through it" {
				if name == "http" {
					continue // there it may be the proxy's
				}
				address = "https://files.invalid/"
			}
			client := NewClient(cfg)
			if server.TLS != nil {
				tls := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				tls.ServerName = "example.com" // as in its certificate
				client.Transport.(*transport).base.TLSClientConfig = tls
			}
			t.Cleanup(client.CloseIdleConnections)
			answer, err := client.Get(address)
			if err != nil {
				t.Errorf("%s, %s: %v", name, way, err)
				continue
			}
			answer.Body.Close()
			if answer.StatusCode != http.StatusProxyAuthRequired || TransientStatus(answer.StatusCode) {
				t.Errorf("%s, %s: %s", name, way, answer.Status)
			}
		}
	}
}

var refuse407 = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) })

// TestSOCKS: net/http speaks it by itself.
func TestSOCKS(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	name := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		r := bufio.NewReader(conn)
		io.CopyN(io.Discard, r, 3) // version 5, one method, none
		conn.Write([]byte{5, 0})
		head := make([]byte, 5)
		io.ReadFull(r, head)
		host := make([]byte, int(head[4])+2)
		io.ReadFull(r, host)
		name <- string(host[:len(host)-2])
		conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		if _, err := http.ReadRequest(r); err == nil {
			// The server behind it says so: a proxy of this kind speaks no HTTP.
			io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	}()
	proxy, err := url.Parse("socks5://" + listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := get(t, NewClient(Config{Proxy: proxy}), "http://files.invalid/"); err != nil {
		t.Error(err)
	} else if got := <-name; got != "files.invalid" {
		t.Errorf("asked for %s", got)
	}
}

func TestCheckProxy(t *testing.T) {
	t.Parallel()
	for raw, good := range map[string]bool{
		"http://proxy:3128": true, "https://u:p@proxy": true, "socks5://proxy": true, "http://10.0.0.1:3128/": true,
		"proxy:3128": false, "ftp://proxy": false, "http://": false, "http://proxy/path": false, "http://proxy?x": false,
	} {
		u, err := url.Parse(raw)
		if err == nil {
			err = CheckProxy(u)
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", raw, err)
		}
	}
}
