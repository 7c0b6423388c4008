package outbound

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

var anAddress = regexp.MustCompile(`\d+\.\d+\.\d+\.\d+|::`)

// TestNoAddressInErrors: what a name resolves to is nobody's business but ours.
func TestNoAddressInErrors(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, nobody, _ := net.SplitHostPort(closed.Addr().String())
	closed.Close()
	serve := func(answer func(net.Conn)) (port string) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				answer(conn)
			}
		}()
		_, port, _ = net.SplitHostPort(listener.Addr().String())
		return port
	}
	reset := serve(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0); c.Close() })
	banner := serve(func(c net.Conn) { c.Write([]byte("SSH-2.0-internal-host-7\r\n\r\n")); c.Close() })
	asked := serve(func(c net.Conn) {
		c.Read(make([]byte, 4096))
		c.Write([]byte("SSH-2.0-internal-host-7\r\n\r\n"))
		c.Close()
	})
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, test := range map[string]struct {
		url  string
		cfg  Config
		want string
	}{
		"forbidden": {"http://localhost:" + nobody, Config{}, "localhost is neither at a public address nor in a network of RUNNERBEAN_FETCH_ALLOW"},
		"refused":   {"http://localhost:" + nobody, loopback, "localhost:" + nobody + ": connection refused"},
		"unknown":   {"http://no-such-name.invalid/", loopback, "no-such-name.invalid"},
		"reset":     {"http://localhost:" + reset, loopback, ""},
		"no HTTP":   {"http://localhost:" + asked, loopback, "not HTTP"},
		"greeting":  {"http://localhost:" + banner, loopback, ""}, // it may have gone before it is asked
		"TLS":       {strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), loopback, "certificate"},
		"no TLS":    {"https://localhost:" + banner, loopback, ""},
	} {
		err := get(t, NewClient(test.cfg), test.url)
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		text := WithoutURL(err).Error()
		if !strings.Contains(text, test.want) || anAddress.MatchString(text) || strings.Contains(text, "internal-host-7") {
			t.Errorf("%s: it says %q", name, text)
		}
	}
}

func TestReadable(t *testing.T) {
	t.Parallel()
	dns := &net.DNSError{Err: "server misbehaving", Name: "a.internal.", Server: "10.0.0.2:53"}
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"name server": {&net.OpError{Op: "dial", Net: "tcp", Err: dns}, "the address of a.internal could not be looked up"},
		"slow name server": {
			&net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", IsTimeout: true, Server: "10.0.0.2:53"}},
			"the address of a.internal could not be looked up in time",
		},
		"other": {&net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 9), Port: 80}, Err: errors.New("10.0.0.9 is odd")}, "a.internal:80: the connection failed"},
	} {
		if got := dialFault(test.err, "a.internal", "a.internal:80"); got.Error() != test.want || !errors.Is(got, test.err) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
