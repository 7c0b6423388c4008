package outbound

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRedact(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://user:pw@host:8/a/b?sig=x#f": "https://host:8/a/b",
		"https://host/a%20b?":                "https://host/a%20b",
		"http://[::1":                        "(unreadable URL)",
	} {
		if got := Redact(raw); got != want {
			t.Errorf("Redact(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestCheckURL(t *testing.T) {
	t.Parallel()
	for raw, good := range map[string]bool{
		"https://host/a": true, "http://host:8/": true,
		"file:///etc/passwd": false, "https:///a": false, "https://user:pw@host/": false,
	} {
		u, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckURL(u); (err == nil) != good {
			t.Errorf("CheckURL(%q): %v", raw, err)
		}
	}
}

var (
	loopback = Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}}
	// everything allows all networks there are.
	everything = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), nat64, nat64Local, netip.MustParsePrefix("::ffff:0:0/96")}
)

// get asks url and returns what went wrong.
func get(t *testing.T, client *http.Client, url string) error {
	t.Helper()
	t.Cleanup(client.CloseIdleConnections)
	answer, err := client.Get(url)
	if err == nil {
		answer.Body.Close()
	}
	return err
}

// TestOnlyPublicAddresses: a name is of no help, because what counts is the address
// that it resolves to.
func TestOnlyPublicAddresses(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{
		server.URL, "http://localhost:" + u.Port(), "http://[::ffff:127.0.0.1]:" + u.Port(), "http://0.0.0.0:" + u.Port(),
		"http://[::1]:1", "http://[::]:1", "http://[::127.0.0.1]:1", "http://[64:ff9b::7f00:1]:1", "http://[2002:7f00:1::]:1", "http://[fe80::1]:1",
		"http://[fd00::1]:1", "http://[ff02::1]:1", "http://169.254.169.254/", "http://10.0.0.1/", "http://100.64.0.1/", "http://224.0.0.1/", "http://255.255.255.255/",
	} {
		err := get(t, NewClient(Config{}), address)
		if !Forbidden(err) || Transient(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if err := get(t, NewClient(loopback), server.URL); err != nil {
		t.Error(err)
	}
	// What is allowed is not opened in another form.
	for _, host := range []string{"[::ffff:127.0.0.1]:", "[::ffff:7f00:1]:", "[0:0:0:0:0:ffff:127.0.0.1]:"} {
		if err := get(t, NewClient(loopback), "http://"+host+u.Port()); !Forbidden(err) {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// TestRefererIsNotSent keeps signed URLs from the hosts that they redirect to.
func TestRefererIsNotSent(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	target := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Get("Referer") }))
	t.Cleanup(target.Close)
	from := httptest.NewServer(http.RedirectHandler(target.URL, http.StatusFound))
	t.Cleanup(from.Close)
	if err := get(t, NewClient(loopback), from.URL+"/?sig=secret"); err != nil {
		t.Fatal(err)
	}
	if got := <-seen; got != "" {
		t.Errorf("Referer is %q", got)
	}
}

func TestRedirectsAreChecked(t *testing.T) {
	t.Parallel()
	var around string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		default:
			http.Redirect(w, r, around, http.StatusFound)
		}
	}))
	t.Cleanup(server.Close)
	around = server.URL + "/around"
	for _, path := range []string{"/file", "/around"} {
		if err := get(t, NewClient(loopback), server.URL+path); !errors.Is(err, errRedirect) || Transient(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}
