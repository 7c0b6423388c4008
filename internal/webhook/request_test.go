package webhook

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

func delivery(url string) Hook {
	h := hook(url)
	h.Kind, h.ID = outbox.KindDelivery, h.Job
	return h
}

// document makes Config.Document return text.
func document(text string) func(*Config) {
	return func(c *Config) {
		c.Document = func(context.Context, string) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
		}
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+string(body))
		switch {
		case len(seen) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.URL.Path == "/a":
			http.Redirect(w, r, "/b", http.StatusTemporaryRedirect)
		}
	})
	h := delivery(url + "/a")
	r := newFixture(t, document(`{"n":1}`), h)
	if id := wait(t, r.ended); id != h.ID {
		t.Error(id)
	}
	r.stop()
	want := "PUT /a application/json {\"n\":1}, PUT /a application/json {\"n\":1}, PUT /b application/json {\"n\":1}"
	if got := strings.Join(seen, ", "); got != want {
		t.Errorf("the server has seen %s", got)
	}
	if r.seen["delivered"] != 1 || r.seen["failed"] != 1 {
		t.Errorf("observed %v", r.seen)
	}
}

// TestPutIsGivenUpAtOnce checks the answers after which another try would fail.
func TestPutIsGivenUpAtOnce(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			http.Redirect(w, r, "/page", http.StatusFound)
		case "/page":
			t.Error("a page was asked for")
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	for path, want := range map[string]string{url + "/x?sig=geheim": "403", url + "/login": "302", "http://10.0.0.1/x": "not allowed", "ftp://a/b": "not http"} {
		h := delivery(path)
		r := newFixture(t, nil, h)
		wait(t, r.ended)
		r.stop()
		if said := r.said(h.ID); !strings.Contains(said, want) || strings.Contains(said, "geheim") || r.seen["given_up"] != 1 {
			t.Errorf("%s: it says %q", path, said)
		}
	}
}

// TestPutEndsBeforeItsLease checks that a try ends before its lease, however large the
// document is. Otherwise another node could send the document at the same time.
func TestPutEndsBeforeItsLease(t *testing.T) {
	t.Parallel()
	var left time.Duration
	r := newFixture(t, func(c *Config) {
		c.Document = func(ctx context.Context, _ string) (io.ReadCloser, int64, error) {
			if end, ok := ctx.Deadline(); ok {
				left = time.Until(end)
			}
			return nil, 0, ErrGoesOn
		}
	}, delivery("http://127.0.0.1:1/"))
	wait(t, r.obsolete)
	r.stop()
	if left <= 0 || left > maxPut {
		t.Errorf("a try may take %s", left)
	}
	cfg := Config{}.withDefaults()
	if most := maxInLine + max(maxPut, cfg.Timeout) + cfg.Timeout; most >= lease {
		t.Errorf("with its time in line it may take %s, and the lease is %s", most, lease)
	}
}

func TestPutOfAJobThatGoesOn(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("it was put") })
	h := delivery(url)
	r := newFixture(t, func(c *Config) {
		c.Document = func(context.Context, string) (io.ReadCloser, int64, error) { return nil, 0, ErrGoesOn }
	}, h)
	select {
	case <-r.obsolete:
	case <-r.ended:
		t.Error("it is taken for delivered")
	}
}

// TestWebhookWaitsForTheDelivery checks that a webhook is sent after the document that
// its receiver may read.
func TestWebhookWaitsForTheDelivery(t *testing.T) {
	t.Parallel()
	got := make(chan jobs.Webhook, 1)
	url := receiver(t, func(_ http.ResponseWriter, r *http.Request) { got <- read(t, r) })
	h := hook(url)
	var mu sync.Mutex
	ready := false
	r := newFixture(t, func(c *Config) {
		c.ResultURL = func(context.Context, string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if !ready {
				return "", ErrNotYet
			}
			return "https://far.example/x", nil
		}
	}, h)
	wait(t, r.failed)
	mu.Lock()
	ready = true
	mu.Unlock()
	wait(t, r.ended)
	r.stop()
	if w := <-got; w.Data.URL != "https://far.example/x" || r.seen["failed"] != 0 {
		t.Errorf("told %+v, observed %v", w, r.seen)
	}
}

// TestSlowPutsHoldUpOnlyTheirHost checks that webhooks and deliveries share the limits
// per host.
func TestSlowPutsHoldUpOnlyTheirHost(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	quick := receiver(t, func(http.ResponseWriter, *http.Request) {})
	list := []Hook{hook(quick), delivery(quick)}
	for range 50 {
		list = append(list, delivery(slow))
	}
	r := newFixture(t, nil, list...)
	for range 2 {
		if id := wait(t, r.ended); id != list[0].ID && id != list[1].ID {
			t.Errorf("%s has ended first", id)
		}
	}
	close(release)
}

// TestEachKeySigns has receivers with either of two keys.
func TestEachKeySigns(t *testing.T) {
	t.Parallel()
	keys := []string{key, "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))}
	verified := make(chan error, len(keys))
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		for _, k := range keys {
			_, err := jobs.VerifyWebhook(r.Header, body, k, time.Now())
			verified <- err
		}
	}))
	defer server.Close()
	r := newFixture(t, func(c *Config) {
		c.Keys = nil
		for _, k := range keys {
			secret, err := signature.WebhookKey(k)
			if err != nil {
				t.Fatal(err)
			}
			c.Keys = append(c.Keys, secret)
		}
	}, hook(server.URL))
	defer r.stop()
	for range keys {
		if err := <-verified; err != nil {
			t.Error(err)
		}
	}
}
