package pool

import (
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

func TestCanonical(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"http://a.example":                             "http://a.example",
		"HTTP://A.Example:80/":                         "http://a.example",
		"https://a.example:443//":                      "https://a.example",
		"https://a.example:0443/x":                     "https://a.example/x",
		"https://a.example:80":                         "https://a.example:80",
		"https://a.example./x/":                        "https://a.example/x",
		"https://bücher.example/ä":                     "https://xn--bcher-kva.example/%C3%A4",
		"https://XN--BCHER-KVA.example/%c3%a4":         "https://xn--bcher-kva.example/%C3%A4",
		"https://b%C3%BCcher.example/%7e":              "https://xn--bcher-kva.example/~",
		"http://[0:0::1]:80/a%2Fb":                     "http://[::1]/a%2Fb",
		"http://[::1]:8420":                            "http://[::1]:8420",
		"http://u:p@a.example/x?q#f":                   "http://a.example/x",
		"http://a.example/x/%2e%2e/./y/../../z":        "http://a.example/z",
		"http://my_host:8420":                          "http://my_host:8420",
		"ftp://a.example":                              "",
		"http://":                                      "",
		"http://:80":                                   "",
		"a.example":                                    "",
		"http://a.example:x":                           "",
		"http://a.example/%zz":                         "",
		"javascript:alert(1)":                          "",
		"":                                             "",
		"//a.example":                                  "",
		"http://a.example:99999":                       "",
		"http:/a.example/x":                            "",
		"http://a.example" + strings.Repeat("/", 3000): "http://a.example",
	} {
		if got := Canonical(raw); got != want {
			t.Errorf("%.100q is %q, want %q", raw, got, want)
		}
	}
}

// TestServesByWholeSegments compares URLs with the base URLs of a pool.
func TestServesByWholeSegments(t *testing.T) {
	t.Parallel()
	u := NewURLs("http://a.example", "https://b.example/beans", "")
	stored := map[string]bool{"http://former.example:8420": true}
	row := func(_ *engine.Query, args []any, _ ...any) (bool, error) { return stored[args[0].(string)], nil }
	for url, want := range map[string]bool{
		"http://a.example/id":                   true,
		"http://A.EXAMPLE:80/id?sig=1":          true,
		"http://a.example":                      true,
		"http://a.example.evil/id":              false,
		"http://a.example@evil.example/id":      false,
		"http://a.example:8080/id":              false,
		"https://a.example/id":                  false,
		"https://b.example/beans/id":            true,
		"https://b.example/be%61ns/id":          true,
		"https://b.example/beans":               true,
		"https://b.example/beansprouts/id":      false,
		"https://b.example/beans%2Fid":          false,
		"https://b.example/id":                  false,
		"https://b.example/beans/../id":         false,
		"http://former.example:8420/results/id": true,
		"http://former.example/id":              false,
		"not a URL":                             false,
		"":                                      false,
	} {
		if got, err := u.Serves(url, row); got != want || err != nil {
			t.Errorf("%s: %v, %v, want %v", url, got, err, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{"http://a.example:80/x/../%41?q#f", "https://bücher.example./", "http://[::1%25eth0]:1/", "HTTP://u@H/%2F/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		c := Canonical(raw)
		if c == "" {
			return
		}
		if again := Canonical(c); again != c {
			t.Errorf("%q is %q, and that is %q", raw, c, again)
		}
		if list := prefixes(raw); strings.Count(c, "/") < maxSegments && !slices.Contains(list, c) {
			t.Errorf("%q is not below itself: %q", raw, list)
		}
	})
}
