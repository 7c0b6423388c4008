package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// acceptOne accepts one document. The error is also that of the document.
func (f *fixture) acceptOne(ctx context.Context, document string) (ledger.Accepted, error) {
	accepted, err := f.Accept(ctx, [][]byte{[]byte(document)}, "")
	if err != nil {
		return ledger.Accepted{}, err
	}
	var fault *jobs.Fault
	if errors.As(accepted[0].Err, &fault) {
		err = fault
	}
	return accepted[0], err
}

func TestMain(m *testing.M) {
	if setting := os.Getenv(killedVar); setting != "" {
		fmt.Println(killed(setting))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

const patience = 20 * time.Second

// fixture is a dispatcher with a real beanstalkd and a real ledger that knows the
// programs cat and forecast.
type fixture struct {
	*Dispatcher
	server *queuetest.Server
	ledger *ledger.Ledger
	path   string // of the ledger
}

func newFixture(t *testing.T, args ...string) *fixture {
	t.Helper()
	server := queuetest.Start(t, args...)
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := ledger.Open(t.Context(), ledger.Config{DSN: "sqlite:" + path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	announce(t, l, "forecast", "cat")
	d, err := New(Config{
		Queue: queue.Config{Addrs: []string{server.Addr}}, Node: "n1", Ledger: l,
		Interval: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return &fixture{Dispatcher: d, server: server, ledger: l, path: path}
}

func announce(t testing.TB, l *ledger.Ledger, names ...string) {
	t.Helper()
	node := nodes.Node{Name: "n1", Instance: jobs.NewID(), Slots: 1}
	for _, name := range names {
		node.Programs = append(node.Programs, nodes.Program{Name: name, SHA256: strings.Repeat("0", 64)})
	}
	if err := l.Nodes.Register(t.Context(), node); err != nil {
		t.Fatal(err)
	}
}

// serve runs the dispatcher until the test ends.
func (f *fixture) serve(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func document(id, program string) string {
	return fmt.Sprintf(`{"id":%q,"program":%q,"input":{"data":1},"result":{"url":"http://r.example/%s"}}`, id, program, id)
}

// put places a body on a tube as any beanstalkd client would.
func (f *fixture) put(t *testing.T, tube, body string) {
	t.Helper()
	if _, err := f.producer.Put(t.Context(), queue.Message{Tube: tube, Body: []byte(body), Priority: 1024, TTR: time.Minute}); err != nil {
		t.Fatal(err)
	}
}

// state waits until a job is in a state and returns its record.
func (f *fixture) state(t *testing.T, id string, want jobs.State) ledger.Record {
	t.Helper()
	changed := make(chan struct{}, 1)
	remove := f.ledger.OnChange(func([]string) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer remove()
	deadline := time.After(patience)
	for {
		r, err := f.ledger.Get(t.Context(), id)
		if err == nil && r.State == want {
			return r
		}
		if err != nil && !errors.Is(err, ledger.ErrUnknown) {
			t.Fatal(err)
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("job %s is %q, not %q (%v)", id, r.State, want, err)
		}
	}
}

// hint reserves the next message of a program's run tube and returns the id in it.
func (f *fixture) hint(t *testing.T, program string) string {
	t.Helper()
	consumer, err := queue.NewConsumer(queue.Config{Addrs: []string{f.server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	delivery, err := consumer.Reserve(ctx, []string{f.sender.tubes.run(program)})
	if err != nil {
		t.Fatal(err)
	}
	var message struct{ ID string }
	if err := json.Unmarshal(delivery.Body, &message); err != nil {
		t.Fatal(err)
	}
	if err := delivery.Delete(ctx); err != nil {
		t.Fatal(err)
	}
	return message.ID
}

func TestInboxJobBecomesAHintOnItsRunTube(t *testing.T) {
	t.Parallel()
	for _, tube := range []string{"runnerbean/inbox", "runnerbean/inbox/n1"} {
		f := newFixture(t)
		f.serve(t)
		id := jobs.NewID()
		f.put(t, tube, document(id, "cat"))
		if got := f.hint(t, "cat"); got != id {
			t.Errorf("%s: hint names %s, want %s", tube, got, id)
		}
		f.state(t, id, jobs.Queued)
	}
}

// TestLargestInboxJobIsRecorded checks that the largest document that the schema allows
// is recorded.
func TestLargestInboxJobIsRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, "-z", "1048576")
	f.serve(t)
	labels, long := jobs.NewID(), jobs.NewID()
	label := fmt.Sprintf(`"labels":{%q:%q},"program"`, strings.Repeat("k", 63), strings.Repeat("€", 256))
	f.put(t, "runnerbean/inbox", strings.Replace(document(labels, "cat"), `"program"`, label, 1))
	f.put(t, "runnerbean/inbox", strings.Replace(document(long, "cat"), `"data":1`, `"data":"`+strings.Repeat("x", 900_000)+`"`, 1))
	f.state(t, labels, jobs.Queued)
	f.state(t, long, jobs.Queued)
}

func TestFaultyInboxJobWithAnIDFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	tests := map[string]struct{ change, to, pointer, says string }{
		"path as program": {`"program":"cat"`, `"program":"../cat"`, "/program", "program"},
		"unknown field":   {`"program":"cat"`, `"program":"cat","colour":1`, "/colour", "colour"},
		"no input":        {`"input":{"data":1},`, ``, "", "input"},
	}
	for name, test := range tests {
		id := jobs.NewID()
		f.put(t, "runnerbean/inbox", strings.Replace(document(id, "cat"), test.change, test.to, 1))
		r := f.state(t, id, jobs.Failed)
		if r.Error == nil || r.Error.Class != jobs.ClassDocument || r.Error.Pointer != test.pointer || !strings.Contains(r.Error.Message, test.says) {
			t.Errorf("%s: error %+v, want pointer %q and a message with %q", name, r.Error, test.pointer, test.says)
		}
	}
}

func TestUnreadableInboxJobIsBuriedWithAnEvent(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	bodies := []string{"not JSON", `{"id":"no-uuid","program":"cat"}`, "\x00\x00\x00\x00", `[]`, ""}
	for _, body := range bodies {
		f.put(t, "runnerbean/inbox", body)
	}
	good := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(good, "cat"))
	f.state(t, good, jobs.Queued)
	waitFor(t, func() bool { return f.buried(t) == len(bodies) })
	events, err := f.ledger.Events.Newest(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	unreadable := 0
	for _, e := range events {
		if e.Kind == "unreadable" {
			unreadable++
		}
	}
	if unreadable != len(bodies) {
		t.Errorf("%d events of unreadable documents, want %d", unreadable, len(bodies))
	}
}

func (f *fixture) buried(t *testing.T) int {
	t.Helper()
	servers, err := f.producer.Servers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var n int
	fmt.Sscan(servers[0].Stats["current-jobs-buried"], &n)
	return n
}

// waitFor polls until done returns true. The state is that of another process, which
// sends no notice of changes.
func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("did not come to pass")
		}
	}
}

func TestAcceptSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var fault *jobs.Fault
	if _, err := f.acceptOne(t.Context(), "{"); !errors.As(err, &fault) || !fault.Syntax {
		t.Errorf("half a document: %v, want a syntax fault", err)
	}
	_, err := f.acceptOne(t.Context(), document(jobs.NewID(), "forcast"))
	if !errors.As(err, &fault) || fault.Pointer != "/program" || !strings.Contains(fault.Message, "forecast") {
		t.Errorf("unknown program: %v, want a fault at /program that names forecast", err)
	}
}

func TestAcceptTwice(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := jobs.NewID()
	first, err := f.acceptOne(t.Context(), document(id, "cat"))
	if err != nil || !first.New || first.Record.State != jobs.Queued {
		t.Fatalf("first: %+v, %v", first, err)
	}
	again, err := f.acceptOne(t.Context(), document(id, "cat"))
	if err != nil || again.New || again.Err != nil {
		t.Errorf("the same again: %+v, %v; want nothing new", again, err)
	}
	other, err := f.acceptOne(t.Context(), document(id, "forecast"))
	if err != nil || !errors.Is(other.Err, ledger.ErrConflict) {
		t.Errorf("another document: %+v, %v; want ErrConflict", other, err)
	}
	if got := f.hint(t, "cat"); got != id {
		t.Errorf("hint names %s, want %s", got, id)
	}
}

func TestAcceptedWhileBeanstalkdIsAwayIsSentLater(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.server.Kill()
	id := jobs.NewID()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	accepted, err := f.acceptOne(ctx, document(id, "cat"))
	if err != nil || !accepted.New {
		t.Fatalf("%+v, %v", accepted, err)
	}
	f.server.Restart()
	f.serve(t)
	if got := f.hint(t, "cat"); got != id {
		t.Errorf("hint names %s, want %s", got, id)
	}
}

func TestHintsAreSentAgainToAServerThatLostThem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ids := map[string]bool{}
	for range 5 {
		id := jobs.NewID()
		ids[id] = true
		if _, err := f.acceptOne(t.Context(), document(id, "cat")); err != nil {
			t.Fatal(err)
		}
	}
	f.server.Kill()
	f.server.Wipe()
	f.server.Restart()
	f.serve(t)
	for range 5 {
		id := f.hint(t, "cat")
		if !ids[id] {
			t.Fatalf("hint names %s, which was not accepted or came before", id)
		}
		delete(ids, id)
	}
}

// TestHintsMayBeHeldForTwoMissedTouches checks the time to run of messages against the
// interval at which nodes touch them.
func TestHintsMayBeHeldForTwoMissedTouches(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.queued(t, jobs.NewID())
	stats, err := f.producer.MessageStats(t.Context(), f.server.Addr, []uint64{p.Message})
	must(t, err)
	if ttr := seconds(stats[0]["ttr"]); ttr != queue.RunTTR || ttr < 3*queue.TouchEvery {
		t.Errorf("messages may be held for %s and are touched every %s", ttr, queue.TouchEvery)
	}
}

func TestNotBeforeDelaysTheHint(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	later, now := jobs.NewID(), jobs.NewID()
	delayed := strings.Replace(document(later, "cat"), `"program"`, `"not_before":"2999-01-01T00:00:00Z","program"`, 1)
	for _, doc := range []string{delayed, document(now, "cat")} {
		if _, err := f.acceptOne(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.hint(t, "cat"); got != now {
		t.Errorf("hint names %s, want the job that may run now", got)
	}
	servers, err := f.producer.Servers(t.Context())
	if err != nil || servers[0].Stats["current-jobs-delayed"] != "1" {
		t.Errorf("delayed messages: %v, %v; want 1", servers[0].Stats["current-jobs-delayed"], err)
	}
}

func TestPriorityOrdersHints(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	slow, urgent := jobs.NewID(), jobs.NewID()
	doc := strings.Replace(document(urgent, "cat"), `"program"`, `"priority":0,"program"`, 1)
	for _, d := range []string{document(slow, "cat"), doc} {
		if _, err := f.acceptOne(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if got := f.hint(t, "cat"); got != urgent {
		t.Errorf("hint names %s, want the urgent job", got)
	}
}

func TestExpiredJobFails(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	id := jobs.NewID()
	doc := strings.Replace(document(id, "cat"), `"program"`, `"expires":"2020-01-01T00:00:00Z","program"`, 1)
	if _, err := f.acceptOne(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	r := f.state(t, id, jobs.Failed)
	if r.Error == nil || r.Error.Class != jobs.ClassExpired {
		t.Errorf("error %+v, want class expired", r.Error)
	}
}

// TestAcceptMany checks that a faulty document does not hold up the others, that needs may
// come in any order, and that an id twice refuses all.
func TestAcceptMany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, b, bad := jobs.NewID(), jobs.NewID(), jobs.NewID()
	needs := strings.Replace(document(a, "cat"), `"id"`, `"needs":["`+b+`"],"id"`, 1)
	answers, err := f.Accept(t.Context(), [][]byte{[]byte(needs), []byte(document(bad, "forcast")), []byte("3"), []byte(document(b, "cat"))}, "")
	must(t, err)
	var unknown, number *jobs.Fault
	if !answers[0].New || !answers[3].New || !errors.As(answers[1].Err, &unknown) || unknown.ID != bad || !errors.As(answers[2].Err, &number) {
		t.Fatalf("%+v", answers)
	}
	f.state(t, a, jobs.Waiting)
	f.state(t, b, jobs.Queued)
	if _, err := f.ledger.Get(t.Context(), bad); !errors.Is(err, ledger.ErrUnknown) {
		t.Errorf("a refused document: %v", err)
	}
	c, d := jobs.NewID(), jobs.NewID()
	_, err = f.Accept(t.Context(), [][]byte{[]byte(document(c, "cat")), []byte(document(d, "cat")), []byte(document(c, "cat"))}, "")
	var fault *jobs.Fault
	if !errors.As(err, &fault) || fault.Pointer != "/2/id" {
		t.Errorf("an id twice: %v", err)
	}
	for _, id := range []string{c, d} {
		if _, err := f.ledger.Get(t.Context(), id); !errors.Is(err, ledger.ErrUnknown) {
			t.Errorf("%s: %v, want nothing recorded", id, err)
		}
	}
}

// TestAcceptADocumentOnWhichTheNodePanics checks that it alone is refused.
func TestAcceptADocumentOnWhichTheNodePanics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	decode, mine := f.documents.decode, jobs.NewID()
	f.documents.decode = func(document []byte) (jobs.Job, error) {
		if strings.Contains(string(document), mine) {
			panic("a mine")
		}
		return decode(document)
	}
	id := jobs.NewID()
	answers, err := f.Accept(t.Context(), [][]byte{[]byte(document(mine, "cat")), []byte(document(id, "cat"))}, "")
	if err != nil || !isPanic(answers[0].Err) || !answers[1].New {
		t.Errorf("%+v, %v", answers, err)
	}
	f.state(t, id, jobs.Queued)
}
