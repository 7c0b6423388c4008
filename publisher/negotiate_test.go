package publisher

import (
	"testing"
	"time"
)

func TestPrefersHTML(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                 false,
		"*/*":              false,
		"application/json": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": true,
		"text/html":                         true,
		"TEXT/HTML":                         true,
		"text/*":                            true,
		"text/html;q=0.5, application/json": false,
		"text/html;q=0.5, application/json;q=0.4": true,
		"text/html, application/json":             false,
		"text/html;level=1;q=0.9, */*;q=0.1":      true,
		"text/html;q=0, */*":                      false,
		"text/html;q=2":                           false,
		"text/html;q=":                            false,
		"application/*;q=0.1, text/html;q=0.2":    true,
		";q=1, text":                              false,
		"text/html ; q=0.7 , */* ; q=0.8":         false,
	} {
		if got := prefersHTML(accept); got != want {
			t.Errorf("prefersHTML(%q) = %v, want %v", accept, got, want)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		"":                           false,
		"gzip":                       true,
		"gzip, deflate, br, zstd":    true,
		"x-gzip":                     true,
		"GZIP":                       true,
		"*":                          true,
		"br":                         false,
		"gzip;q=0":                   false,
		"*;q=0":                      false,
		"gzip;q=0, *":                false,
		"identity;q=1, gzip;q=0.5":   false,
		"identity;q=0.5, gzip;q=1.0": true,
		"gzip;q=0.001":               true,
		"gzip;q=1.001":               false,
		"gzip;q=abc":                 false,
	} {
		if got := acceptsGzip(accept); got != want {
			t.Errorf("acceptsGzip(%q) = %v, want %v", accept, got, want)
		}
	}
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	for prefer, want := range map[string]time.Duration{
		"":                            -1,
		"wait=30":                     30 * time.Second,
		"Wait = 30":                   30 * time.Second,
		`wait="5"`:                    5 * time.Second,
		"respond-async, wait=10":      10 * time.Second,
		"wait=10;x=y, wait=20":        10 * time.Second,
		"wait=0":                      0,
		"wait=9999999999999999999999": 60 * time.Second,
		"wait=-1":                     -1,
		"wait=1.5":                    -1,
		"wait":                        -1,
		"wait=":                       -1,
		"waiting=3":                   -1,
	} {
		got, ok := preferWait(prefer)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("preferWait(%q) = %v, want %v", prefer, got, want)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	f.Add("text/html;q=0.5, */*", "text/html")
	f.Add("gzip;q=1.000;x, identity;q=0", "wait=5;a, wait")
	f.Fuzz(func(t *testing.T, a, b string) {
		prefersHTML(a)
		acceptsGzip(a)
		if q := mediaQuality(a, "text", "html"); q < 0 || q > 1000 {
			t.Errorf("quality %d of %q", q, a)
		}
		if wait, ok := preferWait(b); wait < 0 || wait > maxWait || !ok && wait != 0 {
			t.Errorf("wait %v, %v of %q", wait, ok, b)
		}
		matches(a, b)
	})
}
