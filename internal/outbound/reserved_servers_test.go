package outbound

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// ownAddress is one of this machine's that is not loopback; "" where it has none.
func ownAddress(t *testing.T) string {
	t.Helper()
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range own {
		if p, err := netip.ParsePrefix(n.String()); err == nil && !p.Addr().IsLoopback() && p.Addr().Is4() {
			return p.Addr().String()
		}
	}
	return ""
}

func TestReservedServers(t *testing.T) {
	t.Parallel()
	g := newGuard(Config{
		Allow:      everything,
		Beanstalkd: []string{"127.0.0.1:11400", "[2606:4700::7]:11500", "203.0.114.7:11500", "localhost:11600", "/run/beanstalkd.sock", "unix:/run/b.sock"},
		Listener:   "[::]:8420",
	})
	cases := map[string]bool{
		"127.0.0.1:11400": false, "127.9.9.9:11400": false, "[::1]:11400": false, "0.0.0.0:11400": false, "[::]:11400": false, "[::ffff:127.0.0.1]:11400": false,
		"203.0.114.7:11500": false, "[2606:4700::7]:11500": false, "[64:ff9b::203.0.114.7]:11500": false, "203.0.114.8:11500": true, "203.0.114.7:80": true,
		"127.0.0.1:11600": false, "[::1]:11600": false,
		"127.0.0.1:8420": false, "127.0.0.2:8420": false, "[::1]:8420": false, "0.0.0.0:8420": false, "[::ffff:127.0.0.1]:8420": false, "203.0.114.7:8420": true, "127.0.0.1:8080": true,
		"127.0.0.1:11300": false, "203.0.114.9:11300": false, "[2606:4700::9]:11300": false, "[64:ff9b::8.8.8.8]:11300": false,
	}
	if own := ownAddress(t); own != "" {
		cases[own+":8420"], cases[own+":11400"], cases[own+":8080"] = false, false, true
		cases["[::ffff:"+own+"]:8420"], cases["[64:ff9b::"+own+"]:8420"] = false, false
	}
	for to, want := range cases {
		err := g.check(t.Context(), netip.MustParseAddrPort(to))
		if (err == nil) != want || err != nil && !Forbidden(err) {
			t.Errorf("%s: %v, want %v", to, err, want)
		}
	}
}

// TestListenerIsNeverAsked by any of its names, nor where others send to it.
func TestListenerIsNeverAsked(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was asked") }))
	t.Cleanup(server.Close)
	from := httptest.NewServer(http.RedirectHandler(server.URL, http.StatusFound))
	t.Cleanup(from.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	urls := []string{
		server.URL, "http://localhost:" + u.Port(), "http://LOCALHOST:" + u.Port(), "http://[::ffff:127.0.0.1]:" + u.Port(), "http://127.3.2.1:" + u.Port(),
		"http://0.0.0.0:" + u.Port(), "http://[::]:" + u.Port(), from.URL,
	}
	for _, address := range urls {
		client := NewClient(Config{Allow: everything, Listener: u.Host})
		if err := get(t, client, address); !Forbidden(err) || Transient(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
	err = get(t, NewClient(Config{Allow: everything, Listener: u.Host}), server.URL)
	if !ItselfForbidden(err) || !strings.Contains(err.Error(), "this node") {
		t.Errorf("it says %v", err)
	}
	if err := get(t, NewClient(Config{}), server.URL); ItselfForbidden(err) {
		t.Errorf("of a private address it says %v", err)
	}
}

// TestUnknownServerIsNoReason to ask what it may be.
func TestUnknownServerIsNoReason(t *testing.T) {
	t.Parallel()
	g := newGuard(Config{Allow: everything, Beanstalkd: []string{"no-such-name.invalid:11400"}})
	if err := g.check(t.Context(), netip.MustParseAddrPort("127.0.0.1:11400")); err == nil || Forbidden(err) {
		t.Errorf("got %v", err)
	}
	if err := g.check(context.Background(), netip.MustParseAddrPort("127.0.0.1:80")); err != nil {
		t.Error(err)
	}
}
