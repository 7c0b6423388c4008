package publisher

import (
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// resultServer answers for many jobs over HTTP/1.1, and counts what browsers hold open.
type resultServer struct {
	url string

	mu     sync.Mutex
	faults faults                 // guarded
	jobs   map[string]jobs.Result // guarded
	news   chan struct{}          // guarded; closed at the next change

	open     [][]string  // guarded; jobs of the open streams for many results
	opened   [][]string  // guarded; jobs of all such streams
	singles  int         // guarded; open streams of one job
	held     int         // guarded; requests that wait
	mostHeld int         // guarded; open streams and waiting requests
	gets     int         // guarded; requests for a document
	fields   http.Header // guarded; of the last request
}

// faults are what goes wrong at a resultServer.
type faults struct {
	noTogether bool   // there is no stream for many results
	buffers    bool   // events are held back
	dead       bool   // connections end without an answer
	mute       bool   // nothing is answered, and streams are silent
	forgets    bool   // 404 for all jobs
	gone       bool   // 410 for unknown jobs
	noCORS     bool   // no page of another origin may read an answer
	instead    string // type and body of all answers
	large      bool   // events of more than a script takes
}

func newResultServer(t *testing.T, ids ...string) *resultServer {
	s := &resultServer{jobs: map[string]jobs.Result{}, news: make(chan struct{})}
	for _, id := range ids {
		s.jobs[id] = jobs.Result{ID: id, Program: "forecast", State: jobs.Running, Progress: ptr(0.125), Timestamp: time.Now().UTC()}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{id}", s.serveDocument)
	mux.HandleFunc("GET /{id}/events", s.serveStream)
	server := httptest.NewServer(s.guard(serveAsset(t), mux))
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	t.Cleanup(func() { s.fail(faults{dead: true}) })
	s.url = server.URL
	return s
}

// newIDs returns ids of n jobs.
func newIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = jobs.NewID()
	}
	return ids
}

// guard answers requests for results as the present faults want it.
func (s *resultServer) guard(asset http.HandlerFunc, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/assets/") || r.URL.Path == "/runnerbean.js" {
			asset(w, r)
			return
		}
		s.mu.Lock()
		faults := s.faults
		if r.Method != http.MethodOptions {
			s.fields = r.Header
		}
		s.mu.Unlock()
		if !faults.noCORS {
			w.Header().Set("Access-Control-Allow-Origin", "*")
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, If-None-Match, Prefer")
			w.Header().Set("Access-Control-Expose-Headers", "ETag, Retry-After")
		}
		kind, body, _ := strings.Cut(faults.instead, " ")
		switch {
		case faults.dead:
			panic(http.ErrAbortHandler)
		case faults.mute:
			s.until(r, func() bool { return !s.faults.mute })
			panic(http.ErrAbortHandler)
		case r.Method == http.MethodOptions:
			w.WriteHeader(http.StatusNoContent)
		case body != "":
			w.Header().Set("Content-Type", kind)
			fmt.Fprint(w, body)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// until waits until a condition holds or the client has gone. It reports which.
func (s *resultServer) until(r *http.Request, holds func() bool) bool {
	for {
		s.mu.Lock()
		done, news := holds(), s.news
		s.mu.Unlock()
		if done {
			return true
		}
		select {
		case <-news:
		case <-time.After(time.Second): // a stream may have to send a comment
		case <-r.Context().Done():
			return false
		}
	}
}

// change changes the server and wakes what waits for news.
func (s *resultServer) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.news)
	s.news = make(chan struct{})
}

func (s *resultServer) fail(f faults) { s.change(func() { s.faults = f }) }

// set changes all jobs.
func (s *resultServer) set(f func(*jobs.Result)) {
	s.change(func() {
		for id, r := range s.jobs {
			f(&r)
			r.Timestamp = time.Now().UTC()
			s.jobs[id] = r
		}
	})
}

func (s *resultServer) progress(p float64) { s.set(func(r *jobs.Result) { r.Progress = &p }) }

// is reports whether a condition holds, under the lock.
func (s *resultServer) is(f func() bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f()
}

// eventually waits for a condition.
func (s *resultServer) eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	deadline := time.After(3 * time.Minute)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !s.is(f) {
		select {
		case <-look.C:
		case <-deadline:
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Fatalf("never: %s (%d streams for many, %d for one, %d waiting requests)", what, len(s.open), s.singles, s.held)
		}
	}
}

func (s *resultServer) document(id string) (jobs.Result, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.jobs[id]
	return r, known && !s.faults.forgets
}

func (s *resultServer) serveDocument(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	doc, known := s.document(id)
	s.mu.Lock()
	s.gets++
	s.mu.Unlock()
	tag := func() string { return fmt.Sprintf(`"%d"`, doc.Timestamp.UnixNano()) }
	if r.Header.Get("Prefer") != "" && r.Header.Get("If-None-Match") == tag() {
		s.hold(&s.held, 1)
		s.until(r, func() bool { return !s.jobs[id].Timestamp.Equal(doc.Timestamp) })
		s.hold(&s.held, -1)
		doc, known = s.document(id)
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", tag())
	if !known {
		status := http.StatusNotFound
		if s.is(func() bool { return s.faults.gone }) {
			status = http.StatusGone
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(jobs.Problem{Title: http.StatusText(status), Status: status, Detail: "there is no such job"})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc)
}

// hold counts a connection that is held open.
func (s *resultServer) hold(n *int, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n += by
	s.mostHeld = max(s.mostHeld, len(s.open)+s.singles+s.held)
}

// serveStream serves /results/events for many jobs and /ID/events for one.
func (s *resultServer) serveStream(w http.ResponseWriter, r *http.Request) {
	ids := []string{r.PathValue("id")}
	if ids[0] != "results" {
		s.hold(&s.singles, 1)
		defer s.hold(&s.singles, -1)
	} else if s.is(func() bool { return s.faults.noTogether }) {
		http.NotFound(w, r)
		return
	} else {
		ids = r.URL.Query()["job"]
		s.mu.Lock()
		s.opened = append(s.opened, ids)
		// A page closes its stream before it opens another for more results; the server may
		// see that later.
		s.open = slices.DeleteFunc(s.open, func(o []string) bool { return slices.Contains(ids, o[0]) })
		s.open = append(s.open, ids)
		s.mostHeld = max(s.mostHeld, len(s.open)+s.singles+s.held)
		s.mu.Unlock()
		defer s.change(func() {})
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.open = slices.DeleteFunc(s.open, func(o []string) bool { return &o[0] == &ids[0] })
		}()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	_ = http.NewResponseController(w).Flush()
	sent := map[string]time.Time{}
	spoken := time.NewTicker(5 * time.Second)
	defer spoken.Stop()
	due := func() bool {
		select {
		case <-spoken.C:
			if !s.faults.buffers && !s.faults.mute {
				_, _ = io.WriteString(w, ":\n\n")
				_ = http.NewResponseController(w).Flush()
			}
		default:
		}
		return s.faults.dead || s.differs(ids, sent)
	}
	for s.until(r, due) {
		if s.is(func() bool { return s.faults.dead }) {
			panic(http.ErrAbortHandler)
		}
		s.send(w, ids, sent)
	}
}

// differs reports whether there are documents to send. The caller holds the lock.
func (s *resultServer) differs(ids []string, sent map[string]time.Time) bool {
	if s.faults.buffers || s.faults.mute {
		return false
	}
	return slices.ContainsFunc(ids, func(id string) bool { at, was := sent[id]; return !was || !s.jobs[id].Timestamp.Equal(at) })
}

func (s *resultServer) send(w http.ResponseWriter, ids []string, sent map[string]time.Time) {
	large := ""
	if s.is(func() bool { return s.faults.large }) {
		large = strings.Repeat(" ", 2<<20)
	}
	for _, id := range ids {
		doc, known := s.document(id)
		if at, was := sent[id]; was && at.Equal(doc.Timestamp) {
			continue
		}
		sent[id] = doc.Timestamp
		data, _ := json.Marshal(doc)
		kind := "state"
		if !known {
			kind, data = "refused", fmt.Appendf(nil, `{"id":%q,"status":404,"title":"Not Found"}`, id)
		}
		fmt.Fprintf(w, "event: %s\ndata: %s%s\n\n", kind, data, large)
	}
	_ = http.NewResponseController(w).Flush()
}

// site serves pages of another origin with the query "ids", a list of jobs, and an element for
// each. A page has only the policy script-src and connect-src, unless the query "policy" has another.
func (s *resultServer) site(t *testing.T) string {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		policy := fmt.Sprintf("default-src 'none'; script-src %s; connect-src %[1]s; img-src data:", s.url)
		if p := r.URL.Query().Get("policy"); p != "" {
			policy = p
		}
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, `<!doctype html><html lang=en><link rel=icon href="data:,"><title>A site</title><script type=module src=%q></script>`, s.url+"/runnerbean.js")
		for _, id := range strings.Split(r.URL.Query().Get("ids"), ",") {
			if id != "" {
				fmt.Fprintf(w, `<runnerbean-result src="%s"></runnerbean-result>`, html.EscapeString(s.url+"/"+id))
			}
		}
	}))
	t.Cleanup(site.Close)
	t.Cleanup(site.CloseClientConnections)
	return site.URL + "/"
}
