package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/jobdoc"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/store"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testNode     = "node1"
	testInstance = "instance1"
	testProgram  = "forecast"
)

// bench is a publisher with a real ledger and a real store.
type bench struct {
	t      testing.TB
	ledger *ledger.Ledger
	store  *store.Store
	p      *Publisher
	logged *lockedBuffer
	folder string // with ledger.db and store
}

func (b *bench) ledgerFile() string { return b.folder + "/ledger.db" }

// newBench starts a publisher. change may change its configuration.
func newBench(t testing.TB, change ...func(*Config)) *bench {
	t.Helper()
	folder := t.TempDir()
	b := &bench{t: t, logged: &lockedBuffer{}, folder: folder}
	quiet := slog.New(slog.NewTextHandler(b.logged, nil))
	var err error
	// No heartbeat follows, so the lease is longer than any test.
	if b.ledger, err = ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + folder + "/ledger.db", Lease: time.Hour, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.ledger.Close() })
	if b.store, err = store.Open(context.Background(), "file://"+folder+"/store"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.store.Close() })
	cfg := Config{
		Ledger: b.ledger, Store: b.store, BaseURL: "http://127.0.0.1:8420", Node: testNode,
		Accept: b.acceptDocuments, Act: b.act, Drain: b.ledger.Nodes.Drain, Undrain: b.ledger.Nodes.Undrain, Control: b.ledger.Nodes.SetControl, Forget: b.ledger.Nodes.Forget, Logger: quiet,
	}
	for _, f := range change {
		f(&cfg)
	}
	if b.p, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	b.run()
	return b
}

// run runs the hub until the test ends, before the ledger closes.
func (b *bench) run() {
	ctx, cancel := context.WithCancel(context.Background())
	ended, p := make(chan struct{}), b.p
	go func() {
		defer close(ended)
		if err := p.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

// acceptDocument accepts a document as the dispatcher does.
func (b *bench) acceptDocument(ctx context.Context, document []byte, submitter string) (ledger.Accepted, error) {
	accepted, err := b.acceptDocuments(ctx, [][]byte{document}, submitter)
	if err != nil {
		return ledger.Accepted{}, err
	}
	return accepted[0], nil
}

// acceptDocuments accepts documents as the dispatcher does, but for twice the same id.
func (b *bench) acceptDocuments(ctx context.Context, documents [][]byte, submitter string) ([]ledger.Accepted, error) {
	answers := make([]ledger.Accepted, len(documents))
	var entries []ledger.Entry
	var at []int
	for i, document := range documents {
		job, err := jobdoc.Decode(document)
		if answers[i].Err = err; err == nil {
			entries, at = append(entries, ledger.Entry{Job: job, Document: document, Submitter: submitter}), append(at, i)
		}
	}
	accepted, err := b.ledger.Accept(ctx, entries)
	if err != nil {
		return nil, err
	}
	for k, a := range accepted {
		answers[at[k]] = a
	}
	return answers, nil
}

// act applies a verb as the dispatcher does.
func (b *bench) act(ctx context.Context, verb ledger.Verb, by string, targets []ledger.Target) ([]ledger.Acted, error) {
	return b.ledger.Act(ctx, verb, by, targets)
}

// do applies a verb to a job.
func (b *bench) do(verb ledger.Verb, id string) {
	b.t.Helper()
	acted, err := b.act(context.Background(), verb, "a person", []ledger.Target{{ID: id}})
	if err != nil || acted[0].Err != nil {
		b.t.Fatal(err, acted)
	}
}

// jobDocument returns a document for id with more members.
func jobDocument(id, more string) []byte {
	if more != "" {
		more = "," + more
	}
	return fmt.Appendf(nil, `{"id":%q,"program":%q,"input":{"data":1},"result":{"url":"http://127.0.0.1:8420/%s"},"created":"2026-11-22T06:16:00Z"%s}`,
		id, testProgram, id, more)
}

// queued puts a job into the ledger and returns its id.
func (b *bench) queued(more string) string {
	b.t.Helper()
	id := jobs.NewID()
	accepted, err := b.acceptDocument(context.Background(), jobDocument(id, more), "")
	if err != nil || accepted.Err != nil {
		b.t.Fatal(err, accepted.Err)
	}
	return id
}

func (b *bench) running(id string) int {
	b.t.Helper()
	claim, err := b.ledger.Claim(context.Background(), id, ledger.Owner{Instance: testInstance, Node: testNode}, "abc")
	if err != nil || !claim.OK {
		b.t.Fatalf("claim %s: %v %+v", id, err, claim)
	}
	return claim.Record.Attempt
}

// report reports the progress of the first attempt of a job.
func (b *bench) report(id string, progress float64) {
	b.t.Helper()
	if err := b.ledger.Report(context.Background(), id, 1, ledger.Live{Progress: &progress}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) finish(id string, attempt int, e ledger.Ending) {
	b.t.Helper()
	if _, err := b.ledger.Finish(context.Background(), id, attempt, e); err != nil {
		b.t.Fatal(err)
	}
}

// succeeded makes a job with a result object, and returns its id and the object.
func (b *bench) succeeded(result string, artifacts ...jobs.Artifact) (string, []byte) {
	b.t.Helper()
	id := b.queued("")
	attempt := b.running(id)
	return id, b.succeed(id, attempt, result, artifacts...)
}

func (b *bench) succeed(id string, attempt int, result string, artifacts ...jobs.Artifact) []byte {
	b.t.Helper()
	now := time.Date(2026, 11, 22, 6, 16, 0, 0, time.UTC)
	body, err := httpio.Marshal(jobs.Result{
		ID: id, Program: testProgram, State: jobs.Succeeded, Timestamp: now, Finished: now, Attempt: attempt,
		Node: testNode, Result: json.RawMessage(result), Artifacts: artifacts,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.store.Create(context.Background(), store.ResultKey(id), body); err != nil {
		b.t.Fatal(err)
	}
	b.finish(id, attempt, ledger.Ending{Outcome: jobs.OutcomeSucceeded, State: jobs.Succeeded})
	return body
}

func (b *bench) failed() string {
	b.t.Helper()
	id := b.queued("")
	attempt := b.running(id)
	b.finish(id, attempt, ledger.Ending{
		Outcome: jobs.OutcomeFailed, State: jobs.Failed, ExitCode: 65,
		Error: &jobs.Error{Class: jobs.OutcomeFailed, Message: "no such meter", LogTail: "meter 7?\n"},
	})
	return id
}

// register announces a living node with a program.
func (b *bench) register(slots int) {
	b.t.Helper()
	err := b.ledger.Nodes.Register(context.Background(), nodes.Node{
		Name: testNode, Instance: testInstance, Slots: slots, BaseURL: "http://127.0.0.1:8420", Version: "v1",
		Started: time.Now(), Programs: []nodes.Program{{Name: testProgram, SHA256: "abc", Description: "d"}},
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// ask sends a request to the handler. fields are header fields, as "Name: value".
func (b *bench) ask(method, target string, body string, fields ...string) *http.Response {
	b.t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body))
	r.Host = "127.0.0.1:8420"
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			r.Host = value
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	b.p.Handler().ServeHTTP(w, r)
	return w.Result()
}

func (b *bench) get(target string, fields ...string) *http.Response {
	b.t.Helper()
	return b.ask(http.MethodGet, target, "", fields...)
}

func bodyOf(t testing.TB, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func decodeAs[T any](t testing.TB, r *http.Response) T {
	t.Helper()
	var v T
	body := bodyOf(t, r)
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return v
}

// lockedBuffer is what the log is written to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

var (
	noon   = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tags   = regexp.MustCompile(`<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
)

// plainWords returns the text of markup.
func plainWords(markup string) string {
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString(markup, "")), " "))
}

const (
	typeHTML     = "text/html; charset=utf-8"
	resultPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	loginPolicy  = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
