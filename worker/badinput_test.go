package worker

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// files starts a server that has every kind of bad input.
func files(t *testing.T) string {
	mux := http.NewServeMux()
	mux.HandleFunc("/good", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 06:16:00 GMT")
		fmt.Fprint(w, `{"n": 2}`)
	})
	for _, code := range []int{204, 403, 404, 408, 410, 425, 429, 500, 501, 503} {
		mux.HandleFunc(fmt.Sprint("/", code), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
	}
	mux.HandleFunc("/loop", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/loop", http.StatusFound) })
	mux.HandleFunc("/to-file", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "file:///etc/passwd")
		w.WriteHeader(http.StatusFound)
	})
	mux.HandleFunc("/to-private", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/drip", func(w http.ResponseWriter, r *http.Request) {
		for {
			fmt.Fprint(w, " ")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000000")
		w.WriteHeader(http.StatusOK)
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, `{"n":`)
	})
	for name, text := range map[string]string{
		"text": "hello", "two": "1 2", "empty": "", "unfinished": `{"a":`, "twice": `{"a":1,"a":2}`,
		"deep": strings.Repeat("[", 1001) + strings.Repeat("]", 1001), "bytes": "\"\xff\"", "wrong": `{"n":"x"}`,
	} {
		mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	}
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s.URL
}

const otherDigest = "0000000000000000000000000000000000000000000000000000000000000000"

// TestInputFaults fetches every kind of bad input. The job fails at once. The error has
// the URL without its query, the place and what is wrong.
func TestInputFaults(t *testing.T) {
	t.Parallel()
	url := files(t)
	cases := []struct {
		name    string
		input   jobs.Input
		pointer string
		message string
	}{
		{"204", jobs.Input{URL: url + "/204"}, "/input/url", "answered 204"},
		{"403", jobs.Input{URL: url + "/403"}, "/input/url", "answered 403"},
		{"404", jobs.Input{URL: url + "/404?sig=secret"}, "/input/url", "/404: the server answered 404 Not Found"},
		{"410", jobs.Input{URL: url + "/410"}, "/input/url", "answered 410"},
		{"501", jobs.Input{URL: url + "/501"}, "/input/url", "answered 501 Not Implemented"},
		{"loop", jobs.Input{URL: url + "/loop"}, "/input/url", "more than 5 in a row"},
		{"file", jobs.Input{URL: url + "/to-file"}, "/input/url", `"file" is not http or https`},
		{"redirected", jobs.Input{URL: url + "/to-private?sig=secret"}, "/input/url", "address is not allowed"},
		{"private", jobs.Input{URL: "http://10.0.0.1/x"}, "/input/url", "address is not allowed"},
		{"metadata", jobs.Input{URL: "http://169.254.169.254/"}, "/input/url", "RUNNERBEAN_FETCH_ALLOW"},
		{"mapped", jobs.Input{URL: "http://[::ffff:10.0.0.1]/"}, "/input/url", "address is not allowed"},
		{"six", jobs.Input{URL: "http://[::1]:1/"}, "/input/url", "address is not allowed"},
		{"endless", jobs.Input{URL: url + "/endless"}, "/input/url", "larger than 64 KiB"},
		{"large", jobs.Input{URL: url + "/large"}, "/input/url", "larger than 64 KiB"},
		{"digest", jobs.Input{URL: url + "/good", SHA256: otherDigest}, "/input/url", "SHA-256 is"},
		{"text", jobs.Input{URL: url + "/text"}, "/input/url", "not JSON"},
		{"empty", jobs.Input{URL: url + "/empty"}, "/input/url", "empty"},
		{"two", jobs.Input{URL: url + "/two"}, "/input/url", "more than one JSON value"},
		{"unfinished", jobs.Input{URL: url + "/unfinished"}, "/input/url", "ends in the middle"},
		{"twice", jobs.Input{URL: url + "/twice"}, "/input/url", "duplicate"},
		{"deep", jobs.Input{URL: url + "/deep"}, "/input/url", "nested more than 1000 deep"},
		{"bytes", jobs.Input{URL: url + "/bytes"}, "/input/url", "UTF-8"},
		{"schema", jobs.Input{URL: url + "/wrong"}, "/n", "expected integer"},
		{"inline", jobs.Input{Data: []byte(`{"n":"x"}`)}, "/input/data/n", "expected integer"},
	}
	r := newFixture(t, func(c *Config) { c.Slots, c.MaxInput, c.FetchTimeout = 4, 64<<10, 2*time.Second })
	r.installFolder("cat", "cat", `{"input":{"type":"object","properties":{"n":{"type":"integer"}}}}`)
	r.start()
	ids := make([]string, len(cases))
	for i, c := range cases {
		j := job("cat")
		j.Input = c.input
		ids[i] = r.submit(j)
	}
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			record := r.await(ids[i], jobs.Failed)
			if e := record.Error; e.Class != jobs.OutcomeInput || e.Pointer != c.pointer || !strings.Contains(e.Message, c.message) {
				t.Errorf("error is %+v, want %s at %s", e, c.message, c.pointer)
			}
			if strings.Contains(record.Error.Message, "secret") {
				t.Errorf("the query leaks: %s", record.Error.Message)
			}
			if record.Attempt != 1 || record.Spent != 0 {
				t.Errorf("attempt %d, %d spent; a bad input is final at once", record.Attempt, record.Spent)
			}
		})
	}
	r.tubeEmpty("cat")
}

func TestFileFaults(t *testing.T) {
	t.Parallel()
	url := files(t)
	cases := []struct {
		name    string
		file    jobs.File
		message string
	}{
		{"missing", jobs.File{Name: "a", URL: url + "/404"}, "answered 404"},
		{"size", jobs.File{Name: "a", URL: url + "/good", Size: 100}, "8 bytes long, and the job says 100"},
		{"again", jobs.File{Name: "ok", URL: url + "/good"}, "no file can have its name here"},
		{"short", jobs.File{Name: "a", URL: url + "/good", Size: 3}, "larger than 3 B"},
		{"digest", jobs.File{Name: "a", URL: url + "/good", SHA256: otherDigest}, "SHA-256 is"},
		{"outside", jobs.File{Name: "../a", URL: url + "/good"}, "not the name of a file"},
		{"long", jobs.File{Name: strings.Repeat("n", 256), URL: url + "/good"}, "not the name of a file"},
	}
	r := newFixture(t)
	r.install("cat", "cat")
	r.start()
	for _, c := range cases {
		j := job("cat")
		j.Files = []jobs.File{{Name: "ok", URL: url + "/good"}, c.file}
		id := r.submit(j)
		e := r.await(id, jobs.Failed).Error
		if e.Class != jobs.OutcomeInput || e.Pointer != "/files/1/url" || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: error is %+v", c.name, e)
		}
	}
}

// TestInputFromURL checks that a good input reaches the program and the provenance.
func TestInputFromURL(t *testing.T) {
	t.Parallel()
	url := files(t)
	r := newFixture(t)
	r.install("list", `cat >got; printf '{"input":%s,"a":"%s","b":%s}' "$(cat got)" "$(ls inputs | tr '\n' ' ')" "$(cat inputs/b)"`)
	r.start()
	j := job("list")
	j.Input = jobs.Input{URL: url + "/good?sig=secret"}
	j.Files = []jobs.File{{Name: "b", URL: url + "/good"}, {Name: "c", URL: url + "/text", Size: 5}}
	id := r.submit(j)
	r.await(id, jobs.Succeeded)
	result := r.result(id)
	if got := string(result.Result); got != `{"input":{"n":2},"a":"b c ","b":{"n":2}}` {
		t.Errorf("result is %s", got)
	}
	inputs := result.Provenance.Inputs
	if len(inputs) != 3 || inputs[0].URL != url+"/good" || inputs[0].Size != 8 || len(inputs[0].SHA256) != 64 ||
		inputs[0].LastModified.IsZero() || inputs[1].Name != "b" || inputs[2].Size != 5 {
		t.Errorf("inputs are %+v", inputs)
	}
}

// TestLargeInput fetches an input that is too large for memory.
func TestLargeInput(t *testing.T) {
	t.Parallel()
	text := `"` + strings.Repeat("x", 3<<20) + `"`
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) })
	r := newFixture(t)
	r.install("cat", "cat")
	r.start()
	j := job("cat")
	j.Input = jobs.Input{URL: url}
	id := r.submit(j)
	r.await(id, jobs.Succeeded)
	if got := r.result(id).Result; string(got) != text {
		t.Errorf("%d bytes came back of %d", len(got), len(text))
	}
}

// TestPassingInputFaults makes every kind of temporary error last too long.
func TestPassingInputFaults(t *testing.T) {
	t.Parallel()
	url := files(t)
	r := newFixture(t, func(c *Config) { c.Slots, c.FetchTimeout, c.inputPatience = 4, 200*time.Millisecond, 1 })
	r.install("cat", "cat")
	r.start()
	ids := map[string]string{}
	cases := map[string]string{
		url + "/408": "answered 408", url + "/425": "answered 425", url + "/429": "answered 429",
		url + "/500": "answered 500 Internal Server Error (tried 3 times)", url + "/503": "answered 503",
		"http://127.0.0.1:1/x?sig=secret": "connection refused (tried 3 times)",
		url + "/drip":                     "did not come within 200ms", url + "/cut": "broken off after 5 bytes",
	}
	for at := range cases {
		j := job("cat")
		j.Input = jobs.Input{URL: at}
		ids[at] = r.submit(j)
	}
	for at, message := range cases {
		record := r.await(ids[at], jobs.Failed)
		e := record.Error
		if e.Class != jobs.OutcomeInput || e.Pointer != "/input/url" || !strings.Contains(e.Message, message) ||
			!strings.Contains(e.Message, "given up after 3 attempts since 20") || strings.Contains(e.Message, "secret") {
			t.Errorf("error is %+v, want %s", e, message)
		}
		if record.Attempt != 3 || record.Spent != 0 {
			t.Errorf("%s: attempt %d, %d spent", at, record.Attempt, record.Spent)
		}
	}
}

// TestAwaitedInput has a server that asks to wait. The job waits in the queue with the
// reason, is not charged and takes no slot.
func TestAwaitedInput(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	busy := atomic.Bool{}
	busy.Store(true)
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1); busy.Load() {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		fmt.Fprint(w, `{"n":4}`)
	})
	r := newFixture(t, func(c *Config) { c.Slots = 1 })
	r.install("cat", "cat")
	n := r.start()
	j := job("cat")
	j.Input, j.Files = jobs.Input{Data: []byte("4")}, []jobs.File{{Name: "a", URL: url + "/a?sig=secret"}}
	id := r.submit(j)
	r.until("the job waits", func() bool { rec := r.get(id); return rec.State == jobs.Queued && rec.Attempt == 1 })
	record, attempts := r.get(id), r.attempts(id)
	if wait := record.NotBefore.Sub(attempts[0].Started); wait < time.Minute || wait > 10*time.Minute || record.Wait(attempts[0].Finished) == 0 {
		t.Errorf("waits %s", wait)
	}
	if want := strings.TrimPrefix(url, "http://") + " asks to wait 60 s: the file a cannot be had: " + url + "/a: the server answered 429"; !strings.HasPrefix(record.Reason, want) {
		t.Errorf("reason is %q, want %q", record.Reason, want)
	}
	if record.Spent != 0 || record.FetchTries != 1 || record.FetchSince.IsZero() || attempts[0].Outcome != jobs.OutcomeInput || calls.Load() != 1 {
		t.Errorf("%d spent, %d attempts in vain, outcome %s, asked %d times", record.Spent, record.FetchTries, attempts[0].Outcome, calls.Load())
	}
	r.await(r.submit(job("cat")), jobs.Succeeded) // in the one slot
	busy.Store(false)
	n.stop()
	n.wait()
	r.act(ledger.VerbReset, id) // it need not wait longer
	if record := r.get(id); record.FetchTries != 0 || !record.FetchSince.IsZero() {
		t.Errorf("after a reset: %+v", record)
	}
	r.start()
	r.put(j)
	r.await(id, jobs.Succeeded)
}

// TestRestartedServer has a server that refuses connections for longer than one attempt
// tries.
func TestRestartedServer(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	r.install("retried", `[ "$RUNNERBEAN_ATTEMPT" -gt 4 ] || exit 1; cat`)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	address := listener.Addr().String()
	r.must(listener.Close())
	r.start()
	j := job("retried")
	j.Attempts, j.Input = 2, jobs.Input{URL: "http://" + address + "/x"}
	id := r.submit(j)
	r.until("some attempts were in vain", func() bool { return r.get(id).FetchTries >= 3 })
	listener, err = net.Listen("tcp", address)
	r.must(err)
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "4") })}}
	server.Start()
	t.Cleanup(server.Close)
	record := r.await(id, jobs.Succeeded)
	if record.FetchTries != 0 || !record.FetchSince.IsZero() || record.Spent > 1 {
		t.Errorf("%d attempts in vain since %s, %d spent", record.FetchTries, record.FetchSince, record.Spent)
	}
}

// TestPassingFaults has a server that recovers while the input is fetched.
func TestPassingFaults(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch calls.Add(1) {
		case 1:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusServiceUnavailable)
		case 2:
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"n":1`)
		default:
			fmt.Fprint(w, `{"n":4}`)
		}
	})
	r := newFixture(t)
	r.install("cat", "cat")
	r.start()
	j := job("cat")
	j.Input = jobs.Input{URL: url}
	id := r.submit(j)
	r.await(id, jobs.Succeeded)
	if got := string(r.result(id).Result); got != `{"n":4}` {
		t.Errorf("result is %s", got)
	}
}

// TestNoLoopbackByDefault checks that inputs on this machine are refused unless an
// operator allows them.
func TestNoLoopbackByDefault(t *testing.T) {
	t.Parallel()
	url := files(t)
	r := newFixture(t, func(c *Config) { c.Outbound.Allow = nil })
	r.install("cat", "cat")
	r.start()
	j := job("cat")
	j.Input = jobs.Input{URL: strings.Replace(url, "127.0.0.1", "localhost", 1) + "/good"}
	e := r.await(r.submit(j), jobs.Failed).Error
	if e.Class != jobs.OutcomeInput || !strings.Contains(e.Message, "address is not allowed") {
		t.Errorf("error is %+v", e)
	}
}
