package jobs

import (
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPlainURLsNeedNoParsing checks that package net/url agrees.
func TestPlainURLsNeedNoParsing(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"https://grid.example/meters/42.json": true, "http://a": true, "http://127.0.0.1:8420/": true, "http://a/b//c/../~d": true,
		"": false, "https://": false, "http:///a": false, "http://:80/": false, "ftp://a": false, "http://a@b/": false, "http://a:b@c/": false,
		"http://a/?b": false, "http://a/#b": false, "http://[::1]/": false, "http://a:80:90/": false, "http://a/%20": false, "HTTP://a/": false,
	} {
		if got := plainURL(s); got != want {
			t.Errorf("%q is %v, want %v", s, got, want)
		}
	}
	text := rapid.StringOfN(rapid.RuneFrom([]rune("aZ0-._~/:@?#%[]é\\ \n")), 0, 30, -1)
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom([]string{"http://", "https://", ""}).Draw(t, "scheme") + text.Draw(t, "rest")
		if !plainURL(s) {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#") || u.String() != s {
			t.Fatalf("%q is plain, but %+v, %v", s, u, err)
		}
	})
}
