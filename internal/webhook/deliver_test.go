package webhook

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/signature"
	"github.com/runnerbean/runnerbean/jobs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	key      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	patience = 20 * time.Second
)

// memoryOutbox is an outbox in memory.
type memoryOutbox struct {
	mu       sync.Mutex
	hooks    map[string]Hook
	next     map[string]time.Time
	message  map[string]string
	ended    chan string // ids of the entries that were delivered or given up
	failed   chan string
	obsolete chan string
	serves   func(url string) (bool, error) // nil: nothing
}

func newOutbox(hooks ...Hook) *memoryOutbox {
	o := &memoryOutbox{
		hooks: map[string]Hook{}, next: map[string]time.Time{}, message: map[string]string{},
		ended: make(chan string, 1000), failed: make(chan string, 1000), obsolete: make(chan string, 1000),
	}
	for _, h := range hooks {
		o.hooks[h.ID] = h
	}
	return o
}

func (o *memoryOutbox) Due(_ context.Context, _ string, limit int, lease time.Duration) (list []Hook, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, h := range o.hooks {
		if len(list) < limit && !o.next[id].After(time.Now()) {
			o.next[id] = time.Now().Add(lease)
			list = append(list, h)
		}
	}
	return list, nil
}

func (o *memoryOutbox) Done(_ context.Context, h Hook) error {
	id := h.ID
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.hooks, id)
	o.ended <- id
	return nil
}

func (o *memoryOutbox) Obsolete(_ context.Context, h Hook) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.hooks, h.ID)
	o.obsolete <- h.ID
	return nil
}

func (o *memoryOutbox) Serves(_ context.Context, url string) (bool, error) {
	if o.serves == nil {
		return false, nil
	}
	return o.serves(url)
}

func (o *memoryOutbox) Unneeded(ctx context.Context, h Hook) error { return o.Obsolete(ctx, h) }

func (o *memoryOutbox) Failed(_ context.Context, h Hook, next time.Time, message string, giveUp bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	id := h.ID
	h = o.hooks[id]
	h.Tries++
	o.hooks[id], o.next[id], o.message[id] = h, next, message
	if giveUp {
		delete(o.hooks, id)
		o.ended <- id
	} else {
		o.failed <- id
	}
	return nil
}

func (o *memoryOutbox) said(id string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.message[id]
}

// hook returns a webhook to url for the end of a job.
func hook(url string) Hook {
	return Hook{
		ID: jobs.NewID(), Job: jobs.NewID(), Program: "forecast", State: jobs.Failed, Class: jobs.OutcomeTimeout,
		URL: url, Ended: time.Now(),
	}
}

// fixture is a running deliverer. The argument change may be nil.
type fixture struct {
	*memoryOutbox
	log  *bytes.Buffer // read it after stop
	seen map[string]int
	mu   sync.Mutex
	stop func()
}

func newFixture(t *testing.T, change func(*Config), hooks ...Hook) *fixture {
	t.Helper()
	secret, err := signature.WebhookKey(key)
	if err != nil {
		t.Fatal(err)
	}
	r := &fixture{memoryOutbox: newOutbox(hooks...), log: &bytes.Buffer{}, seen: map[string]int{}}
	cfg := Config{
		Outbox: r.memoryOutbox, Owner: "i1", Keys: [][]byte{secret}, Every: 5 * time.Millisecond, Base: 10 * time.Millisecond,
		Outbound:  outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		ResultURL: func(_ context.Context, id string) (string, error) { return "https://results.example/" + id, nil },
		Document: func(context.Context, string) (io.ReadCloser, int64, error) {
			return io.NopCloser(strings.NewReader("{}")), 2, nil
		},
		Observe: func(_, outcome string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.seen[outcome]++
		},
		Logger: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	if change != nil {
		change(&cfg)
	}
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// wait returns the next id.
func wait(t *testing.T, ids <-chan string) string {
	t.Helper()
	select {
	case id := <-ids:
		return id
	case <-time.After(patience):
		t.Fatal("nothing has happened")
		return ""
	}
}

func receiver(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// read verifies and parses a webhook as its receiver does.
func read(t *testing.T, r *http.Request) jobs.Webhook {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	got, err := jobs.VerifyWebhook(r.Header, body, key, time.Now())
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || len(body) > 64<<10 {
		t.Errorf("%s %v: %v", r.Method, r.Header, err)
	}
	return got
}

func TestToldAndSigned(t *testing.T) {
	t.Parallel()
	got := make(chan jobs.Webhook, 1)
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) { got <- read(t, r) })
	h := hook(url + "/done?shop=7")
	r := newFixture(t, nil, h)
	if id := wait(t, r.ended); id != h.ID {
		t.Errorf("id %s", id)
	}
	w := <-got
	if w.ID != h.ID || w.Type != "job.failed" || w.Data.ID != h.Job || w.Data.Program != "forecast" || w.Data.State != jobs.Failed ||
		w.Data.Class != jobs.OutcomeTimeout || w.Data.URL != "https://results.example/"+h.Job || w.Data.Timestamp.IsZero() {
		t.Errorf("got %+v", w)
	}
}

func TestASuccessHasNoClass(t *testing.T) {
	t.Parallel()
	got := make(chan jobs.Webhook, 1)
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) { got <- read(t, r) })
	h := hook(url)
	h.State, h.Class = jobs.Succeeded, jobs.OutcomeSucceeded
	newFixture(t, nil, h)
	if w := <-got; w.Type != "job.succeeded" || w.Data.Class != "" {
		t.Errorf("got %+v", w)
	}
}

func TestToldAgainUntilItIsTaken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ids []string
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ids = append(ids, read(t, r).ID)
		if len(ids) < 3 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	h := hook(url)
	r := newFixture(t, nil, h)
	wait(t, r.ended)
	r.stop()
	if len(ids) != 3 || ids[0] != h.ID || ids[2] != h.ID {
		t.Errorf("told as %v", ids)
	}
	if r.seen["failed"] != 2 || r.seen["delivered"] != 1 {
		t.Errorf("observed %v", r.seen)
	}
}

func TestGivenUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status  int
		created time.Duration
		want    string
	}{
		"gone":     {http.StatusGone, 0, "410 Gone"},
		"too old":  {http.StatusInternalServerError, -24 * time.Hour, "500 Internal Server Error"},
		"too long": {http.StatusServiceUnavailable, -23 * time.Hour, "503 Service Unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "7200") // longer than the time that is left
				w.WriteHeader(test.status)
			})
			h := hook(url + "/done/geheim?token=geheim")
			host := strings.TrimPrefix(url, "http://")
			h.Ended = time.Now().Add(test.created)
			r := newFixture(t, nil, h)
			wait(t, r.ended)
			r.stop()
			if message := r.said(h.ID); !strings.Contains(message, test.want) || !strings.HasPrefix(message, host+": ") {
				t.Errorf("the event says %q", message)
			}
			if all := r.log.String() + r.said(h.ID); strings.Contains(all, "geheim") || strings.Contains(all, "MfKQ9") || !strings.Contains(all, h.Job) || !strings.Contains(all, "host="+host) {
				t.Errorf("log and event: %s", all)
			}
			if r.seen["given_up"] != 1 {
				t.Errorf("observed %v", r.seen)
			}
		})
	}
}

// TestRetryAfterIsKept checks both forms of Retry-After.
func TestRetryAfterIsKept(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]string{"seconds": "600", "date": time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat)} {
		url := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusServiceUnavailable)
		})
		h := hook(url)
		r := newFixture(t, nil, h)
		wait(t, r.failed)
		r.stop()
		if wait := r.next[h.ID].Sub(h.Ended); wait < 9*time.Minute {
			t.Errorf("%s: the next try is after %s", name, wait)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("the redirect was followed")
		}
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	h := hook(url + "/")
	r := newFixture(t, nil, h)
	wait(t, r.failed)
	if message := r.said(h.ID); !strings.Contains(message, "redirects are not followed") {
		t.Errorf("got %q", message)
	}
}

// TestOwnNetworkIsOutOfReach checks that addresses that no operator has allowed are
// refused.
func TestOwnNetworkIsOutOfReach(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(http.ResponseWriter, *http.Request) { t.Error("the receiver was reached") })
	h := hook(strings.Replace(url, "127.0.0.1", "localhost", 1) + "/?token=geheim")
	r := newFixture(t, func(c *Config) { c.Outbound.Allow = nil }, h)
	wait(t, r.failed)
	if message := r.said(h.ID); !strings.Contains(message, "RUNNERBEAN_FETCH_ALLOW") || strings.Contains(message, "geheim") {
		t.Errorf("got %q", message)
	}
}

// TestASlowReceiverHoldsUpOnlyItself sends a hundred hooks to a host that never
// answers, and one to another host.
func TestASlowReceiverHoldsUpOnlyItself(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var mu sync.Mutex
	together, most := 0, 0
	slow := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		together++
		most = max(most, together)
		mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
		mu.Lock()
		together--
		mu.Unlock()
	})
	quick := receiver(t, func(http.ResponseWriter, *http.Request) {})
	var list []Hook
	for range 100 {
		list = append(list, hook(slow))
	}
	h := hook(quick)
	r := newFixture(t, nil, append(list, h)...)
	if id := wait(t, r.ended); id != h.ID {
		t.Errorf("%s has ended first", id)
	}
	close(release)
	r.stop()
	if most > perHost {
		t.Errorf("%d were told to one host together", most)
	}
}

func TestReceiverThatDoesNotAnswerInTime(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	h := hook(url)
	r := newFixture(t, func(c *Config) { c.Timeout = 20 * time.Millisecond }, h)
	wait(t, r.failed)
	if message := r.said(h.ID); !strings.Contains(message, "deadline exceeded") || strings.Contains(message, url) {
		t.Errorf("got %q", message)
	}
}

// TestStopWaitsForTheTriesUnderWay checks that a stop waits for the running tries and
// no longer.
func TestStopWaitsForTheTriesUnderWay(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}), make(chan struct{})
	url := receiver(t, func(http.ResponseWriter, *http.Request) { close(arrived); <-release })
	r := newFixture(t, nil, hook(url))
	<-arrived
	stopped := make(chan struct{})
	go func() { r.stop(); close(stopped) }()
	close(release)
	<-stopped
	if len(r.ended) != 1 {
		t.Error("what was answered is not recorded")
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	o := outcomes{Config{Jitter: func() float64 { return 0.5 }}.withDefaults()}
	age, tries := time.Duration(0), 0
	for ; age <= o.cfg.MaxAge; tries++ {
		age += o.backoff(tries, age)
	}
	if tries < 12 || tries > 24 {
		t.Errorf("%d tries in %s", tries, age)
	}
	for _, test := range []struct {
		tries     int
		age, want time.Duration
	}{
		{0, 0, 5 * time.Second},
		{1, 10 * time.Second, 10 * time.Second},
		{1000, 1000 * time.Hour, 4 * time.Hour},
		{0, 10 * time.Hour, 5 * time.Second}, // all nodes were away
		{1000, time.Second, 5 * time.Second}, // put off many times
	} {
		if got := o.backoff(test.tries, test.age); got != test.want {
			t.Errorf("%+v: %s", test, got)
		}
	}
}

func TestHosts(t *testing.T) {
	t.Parallel()
	h, now, one := newHosts(), time.Now(), hook("http://a/")
	for range perHost {
		if next, _ := h.enter("a", one, now); next == nil {
			t.Error("no room")
		}
	}
	for range maxLine {
		if next, wait := h.enter("a", one, now); next != nil || wait != 0 {
			t.Fatal(next, wait)
		}
	}
	if _, wait := h.enter("a", one, now); wait != leastWait {
		t.Error(wait)
	}
	if next, _ := h.enter("b", one, now); next == nil {
		t.Error("no room at another host")
	}
	if next, left := h.next("a", false, now); next == nil || left != nil || len(h.known["a"].line) != maxLine-1 {
		t.Error("it is the turn of nobody")
	}
	if next, left := h.next("a", true, now); next != nil || left != nil {
		t.Error("nobody is left to tell those in line")
	}
	h.tried("a", true, time.Second, now)
	if next, left := h.next("a", false, now); next != nil || len(left) != maxLine-1 || h.known["a"].busy != 0 {
		t.Errorf("%d are left of a host that rests", len(left))
	}
	h.known["a"].turn = time.Time{}
	if _, wait := h.enter("a", one, now.Add(time.Second)); wait != restTime-time.Second {
		t.Error(wait)
	}
	if next, _ := h.enter("a", one, now.Add(restTime)); next == nil {
		t.Error("no room after the rest")
	}
	for range 2 * maxHosts {
		h.tried(jobs.NewID(), true, time.Second, now)
	}
	if len(h.known) > maxHosts || h.known["a"] == nil {
		t.Errorf("%d are remembered", len(h.known))
	}
}

// TestNobodyWaitsInLineUntilTheLeaseIsOver checks that a hook whose lease may end is
// dropped from the queue, so that it is not sent twice.
func TestNobodyWaitsInLineUntilTheLeaseIsOver(t *testing.T) {
	t.Parallel()
	h, now := newHosts(), time.Now()
	old, young := hook("http://a/1"), hook("http://a/2")
	for range perHost {
		h.enter("a", old, now)
	}
	h.enter("a", old, now)
	h.enter("a", young, now.Add(maxInLine))
	if next, _ := h.next("a", false, now.Add(maxInLine+1)); next == nil || next.ID != young.ID {
		t.Errorf("the next one is %v", next)
	}
}

// TestManyForOneHost checks that the waits of postponed hooks match the rate of their
// host and stay within a few minutes.
func TestManyForOneHost(t *testing.T) {
	t.Parallel()
	h, now := newHosts(), time.Now()
	r := h.of("a")
	for i := range 10_000 {
		if wait := r.later(now); wait < leastWait || wait > leastWait+longestWait {
			t.Fatal(wait)
		} else if i == 1000 && (wait < 20*time.Second || wait > 30*time.Second) {
			t.Errorf("after 1000 of %s, two at a time: %s", usualTime, wait)
		}
	}
}

// TestManyAreToldOverOneLine checks that as many hooks as a queue holds are sent
// without being postponed.
func TestManyAreToldOverOneLine(t *testing.T) {
	t.Parallel()
	url := receiver(t, func(http.ResponseWriter, *http.Request) {})
	var list []Hook
	for range maxLine {
		list = append(list, hook(url))
	}
	r := newFixture(t, nil, list...)
	for range list {
		wait(t, r.ended)
	}
	if n := len(r.failed); n > 0 {
		t.Errorf("%d were put off", n)
	}
}

// TestWhatIsPutOffForTooLongIsGivenUp checks that a hook of an unreachable host is
// given up when its time is over, even if it was never tried.
func TestWhatIsPutOffForTooLongIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tries  int
		age    time.Duration
		giveUp bool
	}{
		"old and put off often":   {manyTries, 24 * time.Hour, true},
		"all nodes were away":     {1, 48 * time.Hour, false},
		"young and put off often": {100, time.Hour, false},
	} {
		h := hook("http://a.example/geheim")
		h.Tries, h.Ended = test.tries, time.Now().Add(-test.age)
		o := newOutbox(h)
		d, err := New(Config{
			Outbox: o, Owner: "i1", Keys: [][]byte{[]byte(key)}, ResultURL: func(context.Context, string) (string, error) { return "", nil },
			Document: func(context.Context, string) (io.ReadCloser, int64, error) { return nil, 0, ErrGoesOn },
		})
		if err != nil {
			t.Fatal(err)
		}
		d.outcomes.putOff(t.Context(), h, leastWait)
		if got := len(o.ended) == 1; got != test.giveUp || len(o.ended)+len(o.failed) != 1 || strings.Contains(o.said(h.ID), "geheim") {
			t.Errorf("%s: given up is %v, the message is %q", name, got, o.said(h.ID))
		}
	}
}

// TestNothingIsPutToThePool has the pool serve the URL of a delivery.
func TestNothingIsPutToThePool(t *testing.T) {
	t.Parallel()
	var puts atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { puts.Add(1) }))
	defer server.Close()
	h := hook(server.URL)
	h.Kind = outbox.KindDelivery
	r := newFixture(t, func(c *Config) {
		c.Outbox.(*memoryOutbox).serves = func(url string) (bool, error) { return url == h.URL, nil }
	}, h)
	defer r.stop()
	select {
	case <-r.obsolete:
	case <-r.ended:
		t.Fatal("it was put, or given up")
	case <-time.After(patience):
		t.Fatal("nothing happens")
	}
	if puts.Load() > 0 {
		t.Error("the result was put to the pool")
	}
}
