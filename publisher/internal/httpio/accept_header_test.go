package httpio

import (
	"testing"
	"time"
)

func TestChosen(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]Preference{
		"":                                  PreferJSON,
		"*/*":                               NoPreference,
		"*":                                 NoPreference,
		"application/json":                  PreferJSON,
		"text/html":                         PreferPage,
		"TEXT/HTML":                         PreferPage,
		" text / html ":                     PreferPage,
		"text/*":                            PreferPage,
		"text":                              PreferPage,
		"text/":                             PreferPage,
		"text/html;q=0.5, application/json": PreferJSON,
		"text/html;q=0.5, application/json;q=0.4":     NoPreference,
		"text/html, application/json":                 PreferJSON,
		"text/html, application/*":                    NoPreference,
		"text/html;level=1;q=0.9, */*;q=0.1":          NoPreference,
		"text/html;q=0.5;level=1, */*;q=.7":           PreferJSON,
		"text/html;q=0, */*":                          PreferJSON,
		"text/html;q=-1, */*":                         PreferJSON,
		"text/html;q=2":                               PreferPage,
		"text/html;q=":                                PreferPage,
		"text/html;q=1,0":                             PreferPage,
		"text/html; Q = \"0.5\" , */*;q=0.60000":      PreferJSON,
		"text/html;q=1.00000, */*;q=0.99999":          NoPreference,
		"text/html;q=0.0001":                          PreferPage,
		"text/html\t;\tq=.2,*;q=.3":                   PreferJSON,
		`text/html;x="a,b;q=0.1";q=0.4, */*;q=0.3`:    NoPreference,
		`text/html;x="a, */*;q=0.3`:                   NoPreference,
		"application/*;q=0.1, text/html;q=0.2":        NoPreference,
		"text/html;q=0.2, text/html;q=0.9, */*;q=0.5": NoPreference,
		";q=1, text":                                  PreferPage,
		",,, ;; =, text/html,":                        PreferPage,
		"image/png, text/csv":                         PreferJSON,
		"text/html ; q=0.7 , */* ; q=0.8":             PreferJSON,
	} {
		if got := Preferred(accept); got != want {
			t.Errorf("%q: %d, want %d", accept, got, want)
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
		"gzip;q=.5":                  true,
		"gzip;q=1.001":               true,
		"gzip;q=0.0":                 false,
		"gzip;q=-1":                  false,
	} {
		if got := AcceptsGzip(accept); got != want {
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
		got, ok := PreferWait(prefer)
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
		AcceptsGzip(a)
		q, fit := mediaQuality(a, "text", "html")
		if q < 0 || q > 1000 || (fit == fitNone) && q != 0 {
			t.Errorf("quality %d, fit %d of %q", q, fit, a)
		}
		if page := IsForPage(a, b); page && (q == 0 || Preferred(a) == PreferJSON) || !page && Preferred(a) == PreferPage {
			t.Errorf("%q of %q: page %v", a, b, page)
		}
		if wait, ok := PreferWait(b); wait < 0 || wait > MaxWait || !ok && wait != 0 {
			t.Errorf("wait %v, %v of %q", wait, ok, b)
		}
		Matches(a, b)
	})
}
