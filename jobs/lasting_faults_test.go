package jobs_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

const hidden = "c2VjcmV0"

// signedURL returns a URL of the job whose signature must not be shown.
func signedURL(scheme, host string) string {
	return scheme + "://" + host + "/results/" + anID + "?expires=1795651000&signature=" + hidden
}

// place is a server in memory, and how to reach it.
type place struct {
	handler http.HandlerFunc
	tls     bool
	raw     string // what it answers in place of HTTP
	dial    error  // what connecting to it fails with
	trust   bool   // whether the client trusts its certificate
	now     time.Time
	url     string
}

// client returns a client of the place, inside a bubble. It logs to log.
func (p place) client(t *testing.T, log *logBuffer) *jobs.Client {
	t.Helper()
	m := newInMemory()
	server := &httptest.Server{Listener: m, Config: &http.Server{Handler: p.handler}}
	server.Config.ErrorLog = stdlog.New(io.Discard, "", 0)
	transport := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return m.dial(ctx, "", "") },
		TLSClientConfig: &tls.Config{RootCAs: x509.NewCertPool()},
	}
	switch {
	case p.dial != nil:
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, p.dial }
	case p.raw != "":
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return answering(p.raw), nil }
	}
	if p.tls {
		server.StartTLS()
	} else {
		server.Start()
	}
	if p.trust {
		transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
	}
	if !p.now.IsZero() {
		transport.TLSClientConfig.Time = func() time.Time { return p.now }
	}
	c, err := jobs.New(jobs.Config{HTTP: &http.Client{Transport: transport}, Logger: log.logger()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// answering is a connection on which a server answers with text to whatever comes.
func answering(text string) net.Conn {
	ours, theirs := net.Pipe()
	go func() {
		_, _ = theirs.Read(make([]byte, 1<<16))
		_, _ = io.WriteString(theirs, text)
		_ = theirs.Close()
	}()
	return ours
}

func redirectTo(location string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	}
}

// toOther redirects to another server, which answers everything with a page.
func toOther(w http.ResponseWriter, r *http.Request) {
	if r.Host == "login.example" {
		page()(w, r)
		return
	}
	http.Redirect(w, r, "http://login.example/?from="+r.URL.RawQuery, http.StatusFound)
}

// lastingFaults are faults that another try does not mend, and words of their error.
func lastingFaults() map[string]struct {
	place
	says string
} {
	ok := answer(jobs.Succeeded, "")
	https, plain := signedURL("https", "node.example"), signedURL("http", "node.example")
	return map[string]struct {
		place
		says string
	}{
		"unknown CA":              {place{handler: ok, tls: true, url: https}, "Config.HTTP"},
		"other host":              {place{handler: ok, tls: true, trust: true, url: https}, "Config.HTTP"},
		"expired":                 {place{handler: ok, tls: true, trust: true, now: time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), url: signedURL("https", "example.com")}, "Config.HTTP"},
		"HTTPS to an HTTP port":   {place{handler: ok, url: https}, "http://"},
		"HTTPS to something else": {place{raw: "SSH-2.0-OpenSSH_9.2\r\n", url: https}, "port"},
		"HTTP to an HTTPS port":   {place{raw: "\x15\x03\x01\x00\x02\x02\x0a", url: plain}, "https://"},
		"no such host":            {place{dial: &net.DNSError{Err: "no such host", Name: "node.example", IsNotFound: true}, url: plain}, "host name"},
		"redirect loop":           {place{handler: redirectTo("/x?signature=" + hidden), url: plain}, "redirects"},
		"redirect to a file":      {place{handler: redirectTo("file:///etc/passwd?signature=" + hidden), url: plain}, "redirects"},
		"redirect to ftp":         {place{handler: redirectTo("ftp://node.example/x?signature=" + hidden), url: plain}, "redirects"},
		"redirect to no URL":      {place{handler: redirectTo("http://[?signature=" + hidden), url: plain}, "redirects"},
		"redirect to a bad port":  {place{handler: redirectTo("http://node.example:99999/?signature=" + hidden), url: plain}, "redirects"},
		"redirect to a login":     {place{handler: toOther, url: plain}, "login.example"},
	}
}

// TestLastingFaults checks that Wait and Follow end soon, though not at once, on what
// another try does not mend, that the error says what to do, and that no signature is
// shown.
func TestLastingFaults(t *testing.T) {
	const grace = 5 * time.Second
	for name, test := range lastingFaults() {
		for how, read := range readers {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					log := &logBuffer{}
					c := test.client(t, log)
					begin := time.Now()
					err := read(t.Context(), c, test.url)
					d := time.Since(begin)
					if err == nil || !strings.Contains(err.Error(), test.says) {
						t.Errorf("error %v, want %q in it", err, test.says)
					}
					if how == "Result" && d != 0 || how != "Result" && (d < grace || d > grace+time.Second) {
						t.Errorf("took %v, want about %v", d, grace)
					}
					if shown := fmt.Sprint(err, log); strings.Contains(shown, hidden) {
						t.Errorf("the signature is shown: %s", shown)
					}
				})
			})
		}
	}
}

// readers are the ways to read a result, by their names.
var readers = map[string]func(ctx context.Context, c *jobs.Client, url string) error{
	"Result": func(ctx context.Context, c *jobs.Client, url string) error {
		_, err := c.Result(ctx, url)
		return err
	},
	"Wait": func(ctx context.Context, c *jobs.Client, url string) error {
		_, err := c.Wait(ctx, url)
		return err
	},
	"Follow": func(ctx context.Context, c *jobs.Client, url string) (last error) {
		for _, err := range c.Follow(ctx, url) {
			last = err
		}
		return last
	},
}

// TestHTTPToAnHTTPSPort checks a server that says what is wrong in an answer.
func TestHTTPToAnHTTPSPort(t *testing.T) {
	for name, p := range map[string]place{
		"Go":     {handler: answer(jobs.Succeeded, ""), tls: true},
		"nginx":  {handler: text(400, "text/html", "<center>The plain HTTP request was sent to HTTPS port</center>")},
		"Apache": {handler: text(400, "text/html", "You're speaking plain HTTP to an SSL-enabled server port.<br />")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := p.client(t, &logBuffer{}).Wait(t.Context(), resultURL)
				if !problemOf(400)(err) || !strings.Contains(err.Error(), "begin the URL with https://") {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

// TestFaultsThatPass checks that Wait and Follow try on for an hour after what may pass,
// and for a moment after what may be changed right now. No signature is shown.
func TestFaultsThatPass(t *testing.T) {
	type fault struct {
		dial error
		url  string
		last time.Duration
	}
	plain, https := signedURL("http", "node.example"), signedURL("https", "node.example")
	for name, f := range map[string]fault{
		"refused":       {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, plain, time.Hour},
		"timeout":       {&net.OpError{Op: "dial", Err: context.DeadlineExceeded}, plain, time.Hour},
		"DNS is down":   {&net.DNSError{Err: "server misbehaving", Name: "node.example", IsTemporary: true}, plain, time.Hour},
		"DNS times out": {&net.DNSError{Err: "i/o timeout", Name: "node.example", IsTimeout: true}, plain, time.Hour},
		"new name":      {&net.DNSError{Err: "no such host", Name: "node.example", IsNotFound: true}, plain, 3 * time.Second},
		"certificate":   {x509.UnknownAuthorityError{}, https, 3 * time.Second},
	} {
		for _, how := range []string{"Wait", "Follow"} {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					log := &logBuffer{}
					begin := time.Now()
					h := &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
						if time.Since(begin) < f.last {
							return nil, f.dial
						}
						w := httptest.NewRecorder()
						node(stream(event(jobs.Succeeded, `,"result":1`)), answer(jobs.Succeeded, ""))(w, r)
						return w.Result(), nil
					})}
					c, err := jobs.New(jobs.Config{HTTP: h, Logger: log.logger()})
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					if err := readers[how](t.Context(), c, f.url); err != nil {
						t.Errorf("error %v after %v", err, time.Since(begin))
					}
					if strings.Contains(log.String(), hidden) || f.last == time.Hour && !strings.Contains(log.String(), "result cannot be read") {
						t.Errorf("logged %s", log)
					}
				})
			})
		}
	}
}

// TestRowsOfFaults checks that the grace begins again after a fault of another kind.
func TestRowsOfFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests atomic.Int64
		h := &http.Client{Transport: transportFunc(func(*http.Request) (*http.Response, error) {
			if requests.Add(1)%2 == 0 {
				return nil, &net.DNSError{IsNotFound: true}
			}
			return nil, &net.DNSError{IsTemporary: true}
		})}
		c, err := jobs.New(jobs.Config{HTTP: h, Logger: (&logBuffer{}).logger()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := c.Wait(ctx, resultURL); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the end of the context", err)
		}
	})
}

// TestServersSendSignaturesBack checks a server that repeats the URL in its error answer.
func TestServersSendSignaturesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOf(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			u := r.URL.String()
			_, _ = fmt.Fprintf(w, `{"type":%[1]q,"title":%[1]q,"detail":%[1]q,"instance":%[1]q}`, u)
		})
		for how, read := range readers {
			err := read(t.Context(), c, signedURL("http", "node.example"))
			p, ok := errors.AsType[*jobs.Problem](err)
			if !ok || strings.Contains(fmt.Sprintf("%v %+v", err, *p), hidden) {
				t.Errorf("%s: %v", how, err)
			}
		}
	})
}

// TestBadURLsAreNotShown checks errors about signed URLs that are not even URLs.
func TestBadURLsAreNotShown(t *testing.T) {
	c, err := jobs.New(jobs.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, bad := range []string{"//x?signature=" + hidden, "http://h:x/?signature=" + hidden, "http://h:0/?signature=" + hidden, "http://u:" + hidden + "@h:x/", "ftp://h/?signature=" + hidden + "#" + hidden} {
		for how, read := range readers {
			if err := read(t.Context(), c, bad); err == nil || strings.Contains(err.Error(), hidden) {
				t.Errorf("%s: %v", how, err)
			}
		}
		if _, err := jobs.SignURL(bad, []byte(strings.Repeat("k", 32)), time.Now()); err == nil || strings.Contains(err.Error(), hidden) {
			t.Errorf("SignURL: %v", err)
		}
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
