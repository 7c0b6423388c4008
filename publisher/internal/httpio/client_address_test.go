package httpio

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestProxies(t *testing.T) {
	t.Parallel()
	listed := NewProxies([]netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::7/128")})
	for _, test := range []struct {
		proxies             *Proxies
		peer, field, client string
	}{
		{nil, "127.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{nil, "10.0.0.9:1", "198.51.100.1", "198.51.100.1"},
		{nil, "198.51.100.9:1", "198.51.100.1", "198.51.100.9"},
		{nil, "10.0.0.9:1", "", "10.0.0.9"},
		{listed, "203.0.113.5:1", "198.51.100.1", "198.51.100.1"},
		{listed, "[2001:db8::7]:1", "198.51.100.1", "198.51.100.1"},
		{listed, "[2001:db8::8]:1", "198.51.100.1", "2001:db8::8"},
		{listed, "10.0.0.9:1", "198.51.100.1", "10.0.0.9"}, // it may say what it likes
		{listed, "127.0.0.1:1", "198.51.100.1", "127.0.0.1"},
		{listed, "203.0.113.5:1", "10.1.1.1, 198.51.100.1, 203.0.113.9", "198.51.100.1"},
	} {
		r := &http.Request{RemoteAddr: test.peer, Header: http.Header{}}
		if test.field != "" {
			r.Header.Set("X-Forwarded-For", test.field)
		}
		if got := test.proxies.Address(r); got != test.client {
			t.Errorf("from %s with %q: %s, want %s", test.peer, test.field, got, test.client)
		}
	}
	if NewProxies(nil) != nil {
		t.Error("without a list, another default")
	}
}
