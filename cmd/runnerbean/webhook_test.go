package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// listener is a receiver of webhooks. It may fail.
type listener struct {
	mu     sync.Mutex
	broken bool
	tried  int
	got    []jobs.Webhook
}

// listen starts a receiver. It reads the key when the first webhook comes.
func listen(t *testing.T, l *listener, key func() string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.tried++
		if l.broken || err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		hook, err := jobs.VerifyWebhook(r.Header, body, key(), time.Now())
		if err != nil {
			t.Errorf("%v: %s", err, body)
		}
		l.got = append(l.got, hook)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (l *listener) repair() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = false
}

func (l *listener) tries() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tried
}

func (l *listener) received() []jobs.Webhook {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]jobs.Webhook(nil), l.got...)
}

// webhookKeyOf returns a function that reads the key of a node.
func webhookKeyOf(t *testing.T, p *process) func() string {
	return func() string {
		text, err := os.ReadFile(filepath.Join(p.setting("DATA"), "webhook.key"))
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
}

// TestWebhookOutlivesTheNode kills a node after the end of a job is recorded and before
// the webhook is delivered. The next instance must deliver it.
func TestWebhookOutlivesTheNode(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	receiver := &listener{broken: true}
	url := listen(t, receiver, webhookKeyOf(t, p))
	p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.1")
	p.start("worker")
	answer, err := http.Post(p.url+"/api/v1/jobs", "application/json", strings.NewReader(`{"program":"refuses","input":{"data":1},"webhook":"`+url+`/done?key=geheim"}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	result := p.final(answer.Header.Get("Location"))
	p.until("a try", func() bool { return receiver.tries() > 0 })
	p.until("it is noted", func() bool {
		return !strings.Contains(p.text("/metrics"), "\nrunnerbean_webhooks_total{outcome=\"failed\"} 0\n")
	})
	p.end(syscall.SIGKILL)
	if strings.Contains(p.log.String(), "geheim") {
		t.Errorf("the log has the URL's secret:\n%s", p.log)
	}
	receiver.repair()
	p.start("worker")
	var got []jobs.Webhook
	p.until("the webhook comes", func() bool { got = receiver.received(); return len(got) > 0 })
	if w := got[0]; w.Type != "job.failed" || w.Data.ID != result.ID || w.Data.Class != jobs.OutcomeFailed || w.Data.URL != answer.Header.Get("Location") {
		t.Errorf("got %+v", w)
	}
}

func TestNodeTellsItsOwnWebhookOfEveryEnd(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	receiver := &listener{}
	url := listen(t, receiver, webhookKeyOf(t, p))
	p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.1", "RUNNERBEAN_WEBHOOK="+url)
	p.start("worker")
	id := p.final(p.submit("echo", `1`)).ID
	var got []jobs.Webhook
	p.until("the webhook comes", func() bool { got = receiver.received(); return len(got) > 0 })
	if w := got[0]; w.Type != "job.succeeded" || w.Data.ID != id {
		t.Errorf("got %+v", w)
	}
	p.until("it is counted", func() bool {
		return strings.Contains(p.text("/metrics"), "\nrunnerbean_webhooks_total{outcome=\"delivered\"} 1\n")
	})
}

func TestHangupReplacesTheKeyOfWebhooks(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	file := filepath.Join(t.TempDir(), "webhook.key")
	current := func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	l := &listener{}
	p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.0/8", "RUNNERBEAN_WEBHOOK="+listen(t, l, current), "RUNNERBEAN_WEBHOOK_KEY_FILE="+file)
	put := func(key string) {
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := "whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("a"), 32)) + "\n"
	put(first)
	p.start("worker")
	told := func(n int) {
		t.Helper()
		p.submit("echo", "1")
		p.until("a webhook that the key verifies", func() bool { return len(l.received()) == n })
	}
	told(1)
	put("no key\n")
	p.signal(syscall.SIGHUP)
	p.logs("stays in force setting=RUNNERBEAN_WEBHOOK_KEY_FILE", 1)
	put(first)
	told(2)
	put("whsec_" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("b"), 32)) + "\n")
	p.signal(syscall.SIGHUP)
	p.logs("read again setting=RUNNERBEAN_WEBHOOK_KEY_FILE", 1)
	told(3)
}
