package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// bucket is a server that stores documents. It may fail or hang.
type bucket struct {
	url  string
	mu   sync.Mutex
	down bool
	puts map[string][]string // by path, in order
}

func newBucket(t *testing.T) *bucket {
	t.Helper()
	b := &bucket{puts: map[string][]string{}}
	stop := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasPrefix(r.URL.Path, "/hangs/") {
			select {
			case <-stop:
			case <-r.Context().Done():
			}
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		switch {
		case r.Method != http.MethodPut || r.Header.Get("Content-Type") != "application/json":
			t.Errorf("%s %v", r.Method, r.Header)
		case b.down:
			b.puts["down"] = append(b.puts["down"], r.URL.Path)
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasPrefix(r.URL.Path, "/closed/"):
			w.WriteHeader(http.StatusForbidden)
		default:
			b.puts[r.URL.Path] = append(b.puts[r.URL.Path], string(body))
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	b.url = server.URL
	return b
}

func (b *bucket) has(path string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.puts[path]...)
}

func (b *bucket) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// send submits a job whose result goes to a path of the bucket, and returns its id.
func (b *bucket) send(p *process, program, path string) string {
	p.t.Helper()
	id := jobs.NewID()
	p.postJob(fmt.Sprintf(`{"id":%q,"program":%q,"input":{"data":7},"result":{"url":"%s%s%s"}}`, id, program, b.url, path, id))
	return id
}

func newDeliveringNode(t *testing.T) *process {
	t.Helper()
	p := newNode(t, queuetest.Start(t).Addr)
	p.env = append(p.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.1")
	const second = "#!/bin/sh\n" + `[ "$RUNNERBEAN_ATTEMPT" = 1 ] && exit 65; cat`
	if err := os.WriteFile(filepath.Join(p.setting("PROGRAMS"), "second"), []byte(second), 0o755); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestResultsAreDelivered checks that the node delivers the document that it serves: of
// a success, of a failure, of a job that never ran, and after a crash between the end
// and the delivery. The result is in the ledger or in the store.
func TestResultsAreDelivered(t *testing.T) {
	t.Parallel()
	for place, limit := range map[string]string{"ledger": "64KiB", "store": "0"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			resultsAreDelivered(t, limit)
		})
	}
}

func resultsAreDelivered(t *testing.T, limit string) {
	t.Helper()
	p, b := newDeliveringNode(t), newBucket(t)
	p.env = append(p.env, "RUNNERBEAN_LEDGER_RESULTS="+limit)
	b.set(true)
	p.start("worker")
	ids := []string{b.send(p, "echo", "/r/"), b.send(p, "refuses", "/r/")}
	for _, id := range ids {
		p.final(p.url + "/" + id) // it does not wait for the delivery
	}
	for _, id := range ids { // else the next instance would wait for the lease
		p.until("a try is noted", func() bool { out, _, _ := p.client("", "show", id); return strings.Contains(out, "503") })
	}
	if out, _, _ := p.client("", "show", ids[0]); !strings.Contains(out, "delivery") || !strings.Contains(out, "pending") {
		t.Errorf("show says\n%s", out)
	}
	if page := p.text("/jobs/" + ids[0]); !strings.Contains(page, "<h2>Delivery</h2>") {
		t.Error("the page does not tell of it")
	}
	p.end(syscall.SIGKILL)
	b.set(false)
	p.start("worker")
	for _, id := range ids {
		p.until("the delivery of "+id, func() bool { return len(b.has("/r/"+id)) > 0 })
		if got, want := b.has("/r/" + id)[0], p.text("/"+id); got != want {
			t.Errorf("put was %s, served is %s", got, want)
		}
		p.until("it is said", func() bool { out, _, _ := p.client("", "show", id); return strings.Contains(out, "delivered") })
	}
}

// TestWebhookComesAfterTheDelivery checks that the receiver of a webhook finds the
// delivered result.
func TestWebhookComesAfterTheDelivery(t *testing.T) {
	t.Parallel()
	p, b := newDeliveringNode(t), newBucket(t)
	receiver := &listener{}
	hook := listen(t, receiver, webhookKeyOf(t, p))
	b.set(true)
	p.start("worker")
	id := jobs.NewID()
	p.postJob(fmt.Sprintf(`{"id":%q,"program":"echo","input":{"data":7},"webhook":%q,"result":{"url":"%s/r/%s"}}`, id, hook, b.url, id))
	p.until("a try", func() bool { return len(b.has("down")) > 0 })
	b.set(false)
	var got []jobs.Webhook
	p.until("the webhook", func() bool { got = receiver.received(); return len(got) > 0 })
	if len(b.has("/r/"+id)) == 0 || got[0].Data.URL != b.url+"/r/"+id {
		t.Errorf("told of %s, put %v", got[0].Data.URL, b.has("/r/"+id))
	}
}

// TestHangingDeliveriesDelayNobody checks that deliveries that hang delay neither other
// jobs nor the end of their own.
func TestHangingDeliveriesDelayNobody(t *testing.T) {
	t.Parallel()
	p, b := newDeliveringNode(t), newBucket(t)
	p.start("worker") // with two slots
	var ids []string
	for range 4 {
		ids = append(ids, b.send(p, "echo", "/hangs/"))
	}
	for _, id := range append(ids, b.send(p, "echo", "/r/")) {
		if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded {
			t.Errorf("%s: %s", id, r.State)
		}
	}
}

// TestRetriedJobIsDeliveredAgain checks that the success comes after the failure.
func TestRetriedJobIsDeliveredAgain(t *testing.T) {
	t.Parallel()
	p, b := newDeliveringNode(t), newBucket(t)
	p.start("worker")
	id := b.send(p, "second", "/r/")
	p.until("the failure is put", func() bool { return len(b.has("/r/"+id)) == 1 })
	if _, log, code := p.client("", "retry", id); code != 0 {
		t.Fatalf("retry: %s", log)
	}
	p.until("the success is put", func() bool {
		list := b.has("/r/" + id)
		return len(list) > 1 && strings.Contains(list[len(list)-1], `"state":"succeeded"`)
	})
	closed := b.send(p, "echo", "/closed/")
	p.until("an event that it was given up", func() bool {
		out, _, _ := p.client("", "show", closed)
		return strings.Contains(out, "given up") && strings.Contains(out, "403")
	})
}

// TestNoJobIsPutToThePool submits jobs whose URLs are below the base URL of a node before
// its setting was changed, the present one, that of another node, and one that only the
// settings know. The servers there stand for what is before the nodes.
func TestNoJobIsPutToThePool(t *testing.T) {
	t.Parallel()
	former, own, other, named, foreign := newBucket(t), newBucket(t), newBucket(t), newBucket(t), newBucket(t)
	p := newDeliveringNode(t)
	q := p.beside("n2")
	q.env = append(q.env, "RUNNERBEAN_FETCH_ALLOW=127.0.0.1", "RUNNERBEAN_SLOTS=0", "RUNNERBEAN_BASE_URL="+other.url, "RUNNERBEAN_FORMER_URLS="+named.url)
	p.env = append(p.env, "RUNNERBEAN_FORMER_URLS="+named.url+"/", "RUNNERBEAN_BASE_URL="+former.url)
	p.start("worker")
	q.start("worker")
	ids := []string{former.send(p, "echo", "/")}
	p.end(syscall.SIGTERM)
	p.env = append(p.env, "RUNNERBEAN_BASE_URL="+strings.Replace(own.url, "http://", "HTTP://", 1))
	p.start("worker")
	for _, b := range []*bucket{former, own, other, named} {
		ids = append(ids, b.send(p, "echo", "/"), b.send(p, "refuses", "/results/"))
	}
	last := foreign.send(p, "echo", "/r/")
	for _, id := range ids {
		p.final(p.url + "/" + id)
		if out := p.must("show", id); strings.Contains(out, "delivery") {
			t.Errorf("show says\n%s", out)
		}
	}
	p.until("the result is put elsewhere", func() bool { return len(foreign.has("/r/"+last)) > 0 })
	for _, b := range []*bucket{former, own, other, named} {
		if len(b.puts) > 0 {
			t.Errorf("was put to the pool: %v", b.puts)
		}
	}
}
