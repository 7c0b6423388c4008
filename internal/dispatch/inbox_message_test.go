package dispatch

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

const inboxTube = "runnerbean/inbox"

// arrayOf returns n documents for cat in an array, and their ids.
func arrayOf(n int) (body string, ids []string) {
	var list []string
	for range n {
		id := jobs.NewID()
		ids, list = append(ids, id), append(list, document(id, "cat"))
	}
	return "[" + strings.Join(list, ",") + "]", ids
}

// onInbox returns how many messages are on the inbox, buried ones apart.
func (f *fixture) onInbox(t *testing.T) (waiting, buried int64) {
	t.Helper()
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, inboxTube)
	must(t, err)
	return waitingOn(stats), integer(stats["current-jobs-buried"])
}

// events returns the events of a kind, the newest first.
func (f *fixture) eventsOf(t *testing.T, job, kind string) (list []eventlog.Event) {
	t.Helper()
	all, err := f.ledger.Events.Newest(t.Context(), job, 1000)
	must(t, err)
	for _, e := range all {
		if e.Kind == kind {
			list = append(list, e)
		}
	}
	return list
}

// hints returns the ids on the run tube of cat, which it empties.
func (f *fixture) hints(t *testing.T, n int) (ids []string) {
	t.Helper()
	for range n {
		ids = append(ids, f.hint(t, "cat"))
	}
	stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, f.sender.tubes.run("cat"))
	must(t, err)
	if more := stats["current-jobs-ready"]; more != "0" && more != "" {
		t.Errorf("%s messages more than %d", more, n)
	}
	return ids
}

func TestInboxMessageWithManyDocuments(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body, ids := arrayOf(maxDocuments)
	faulty, spaced := jobs.NewID(), jobs.NewID()
	asWritten := "{ " + strings.ReplaceAll(document(spaced, "cat"), ",", " , ")[1:]
	f.put(t, inboxTube, body)
	f.put(t, inboxTube, "\r\n [ "+asWritten+" ,\n"+strings.Replace(document(faulty, "cat"), `"program"`, `"colour":1,"colour":2,"program"`, 1)+"]\n")
	f.serve(t)
	for _, id := range append(ids, spaced) {
		f.state(t, id, jobs.Queued)
	}
	if r := f.state(t, faulty, jobs.Failed); r.Error.Class != jobs.ClassDocument || r.Error.Pointer != "/colour" {
		t.Errorf("%+v, want the fault of the document", r.Error)
	}
	if r := f.state(t, spaced, jobs.Queued); string(r.Document) != asWritten {
		t.Errorf("the document is %q, not %q", r.Document, asWritten)
	}
	got := f.hints(t, len(ids)+1)
	if want := append(ids, spaced); !slices.Equal(want, got) {
		t.Errorf("messages are not those of the documents in order")
	}
	waitFor(t, func() bool { waiting, buried := f.onInbox(t); return waiting == 0 && buried == 0 })
}

// TestUnreadableDocumentOfMany checks that the others are recorded, that the message is
// kept for a person, and that a kick changes nothing.
func TestUnreadableDocumentOfMany(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	a, b := jobs.NewID(), jobs.NewID()
	f.put(t, inboxTube, fmt.Sprintf(`[%s,{"id":"7"},%s,3]`, document(a, "cat"), document(b, "cat")))
	kept := func() bool { waiting, buried := f.onInbox(t); return waiting == 0 && buried == 1 }
	waitFor(t, kept)
	if got := f.hints(t, 2); !slices.Equal(got, []string{a, b}) {
		t.Errorf("%v run, not %v", got, []string{a, b})
	}
	events := f.eventsOf(t, "", "unreadable")
	for _, want := range []string{"2 of its 4 documents cannot be recorded, the others are recorded", "document 2: ", "document 4: ", `it begins "{\"id\":\"7\"}"`} {
		if len(events) != 1 || !strings.Contains(events[0].Message, want) {
			t.Errorf("events %+v, want one with %q", events, want)
		}
	}
	f.kick(t)
	waitFor(t, func() bool { return len(f.eventsOf(t, "", "unreadable")) == 2 && kept() })
	for _, id := range []string{a, b} {
		if accepted, conflicts := f.eventsOf(t, id, eventlog.KindAccepted), f.eventsOf(t, id, eventlog.KindConflict); len(accepted) != 1 || len(conflicts) != 0 {
			t.Errorf("accepted %+v, conflicts %+v", accepted, conflicts)
		}
	}
	f.hints(t, 0)
}

// kick makes the buried messages of the inbox ready again, as a person does.
func (f *fixture) kick(t *testing.T) {
	t.Helper()
	conn, err := net.Dial("tcp", f.server.Addr)
	must(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "use %s\r\nkick 10\r\n", inboxTube)
	must(t, err)
	answer := make([]byte, len("USING "+inboxTube+"\r\nKICKED 1\r\n"))
	_, err = io.ReadFull(conn, answer)
	must(t, err)
	if !strings.HasSuffix(string(answer), "KICKED 1\r\n") {
		t.Fatalf("kick: %q", answer)
	}
}

func TestArraysThatAreBuriedWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	many, _ := arrayOf(maxDocuments + 1)
	one, _ := arrayOf(1)
	bodies := map[string]string{
		"[]":                             "has no documents",
		" [ ]\n":                         "has no documents",
		"[" + one + "]":                  "another array",
		many:                             "more than 256",
		one[:len(one)-1]:                 "not JSON",
		one + "x":                        "not JSON",
		one + one:                        "something follows",
		strings.Replace(one, ":", "", 1): "not JSON",
	}
	for body := range bodies {
		f.put(t, inboxTube, body)
	}
	f.serve(t)
	waitFor(t, func() bool { waiting, buried := f.onInbox(t); return waiting == 0 && buried == int64(len(bodies)) })
	text := fmt.Sprint(f.eventsOf(t, "", "unreadable"))
	for _, reason := range bodies {
		if !strings.Contains(text, reason) {
			t.Errorf("%q is not among the events: %s", reason, text)
		}
	}
	f.hints(t, 0)
}

// TestKilledBetweenRecordAndDelete checks that nothing is recorded twice if the node ends
// once the ledger has the documents.
func TestKilledBetweenRecordAndDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body, ids := arrayOf(3)
	single := jobs.NewID()
	f.put(t, inboxTube, body)
	f.put(t, inboxTube, document(single, "cat"))
	accept := f.documents.accept
	f.documents.accept = func(ctx context.Context, entries []ledger.Entry, _ func([]ledger.Accepted)) ([]ledger.Accepted, error) {
		accepted, err := f.ledger.Accept(ctx, entries)
		must(t, err)
		f.documents.accept = accept
		must(t, f.sender.send(ctx, []ledger.Record{accepted[0].Record}))
		panic("the process ends here")
	}
	consumer, err := queue.NewConsumer(queue.Config{Addrs: []string{f.server.Addr}, MaxBody: jobs.MaxDocument})
	must(t, err)
	batch, err := consumer.ReserveBatch(t.Context(), []string{inboxTube}, 10)
	must(t, err)
	var entries []ledger.Entry
	for _, delivery := range batch {
		m := openMessage(delivery)
		must(t, f.intake.read(t.Context(), &m))
		entries = append(entries, m.entries...)
	}
	if _, err := f.documents.record(t.Context(), entries); !isPanic(err) {
		t.Fatalf("%v, want a panic", err)
	}
	must(t, consumer.Close())
	f.serve(t)
	waitFor(t, func() bool { waiting, buried := f.onInbox(t); return waiting == 0 && buried == 0 })
	got, want := f.hints(t, len(ids)+1), append(ids, single)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("messages of %v, want one of each of %v", got, want)
	}
	for _, id := range want {
		if n := len(f.eventsOf(t, id, eventlog.KindAccepted)); n != 1 || len(f.eventsOf(t, id, eventlog.KindConflict)) > 0 {
			t.Errorf("%s was accepted %d times", id, n)
		}
	}
}

// TestMessagesArePutBeforeTheSync checks that a run message is put once its job is committed,
// and that the document stays on the inbox until the disk has the commit: a power cut
// between the two repeats the document.
func TestMessagesArePutBeforeTheSync(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	accept := f.documents.accept
	f.documents.accept = func(ctx context.Context, entries []ledger.Entry, committed func([]ledger.Accepted)) ([]ledger.Accepted, error) {
		f.documents.accept = accept
		return accept(ctx, entries, func(accepted []ledger.Accepted) {
			committed(accepted)
			if n := f.messages(t); n != "1" {
				t.Errorf("%s run messages before the sync", n)
			}
			if stats, err := f.producer.TubeStats(ctx, f.server.Addr, inboxTube); err != nil || stats["current-jobs-reserved"] != "1" {
				t.Errorf("the document is not on the inbox before the sync: %v, %v", stats, err)
			}
			panic("the power fails")
		})
	}
	id := jobs.NewID()
	f.put(t, inboxTube, document(id, "cat"))
	consumer, err := queue.NewConsumer(queue.Config{Addrs: []string{f.server.Addr}, MaxBody: jobs.MaxDocument})
	must(t, err)
	batch, err := consumer.ReserveBatch(t.Context(), []string{inboxTube}, 1)
	must(t, err)
	if _, err := f.intake.takeSome(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	must(t, consumer.Close())
	waitFor(t, func() bool { waiting, _ := f.onInbox(t); return waiting == 0 })
	if n := len(f.eventsOf(t, id, eventlog.KindAccepted)); n != 1 {
		t.Errorf("accepted %d times", n)
	}
}

// TestADocumentOnWhichTheLedgerPanics checks that it alone stays behind.
func TestADocumentOnWhichTheLedgerPanics(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	body, ids := arrayOf(5)
	bad := ids[2]
	accept := f.documents.accept
	f.documents.accept = func(ctx context.Context, entries []ledger.Entry, committed func([]ledger.Accepted)) ([]ledger.Accepted, error) {
		for i := range entries {
			if entries[i].Job.ID == bad {
				panic("a mine")
			}
		}
		return accept(ctx, entries, committed)
	}
	alone := jobs.NewID()
	f.put(t, inboxTube, body)
	f.put(t, inboxTube, document(alone, "cat"))
	f.serve(t)
	waitFor(t, func() bool { waiting, buried := f.onInbox(t); return waiting == 0 && buried == 1 })
	for _, id := range append(slices.Delete(slices.Clone(ids), 2, 3), alone) {
		f.state(t, id, jobs.Queued)
	}
	if e := f.eventsOf(t, "", "unreadable"); len(e) != 1 || !strings.Contains(e[0].Message, "document 3: ") || !strings.Contains(e[0].Message, "panic") {
		t.Errorf("%+v", e)
	}
}

// TestLedgerThatDoesNotRecordKeepsMessages checks that what was not recorded stays, and
// that one transaction has few documents.
func TestLedgerThatDoesNotRecordKeepsMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.intake.batch = 4
	var sizes []int
	accept := f.documents.accept
	f.documents.accept = func(ctx context.Context, entries []ledger.Entry, committed func([]ledger.Accepted)) ([]ledger.Accepted, error) {
		if sizes = append(sizes, len(entries)); len(sizes) == 3 {
			return nil, ledger.ErrClosed
		}
		return accept(ctx, entries, committed)
	}
	var all []string
	for _, n := range []int{1, 3, 1, 6, 1} {
		body, ids := arrayOf(n)
		all = append(all, ids...)
		f.put(t, inboxTube, body)
	}
	consumer, err := queue.NewConsumer(queue.Config{Addrs: []string{f.server.Addr}, MaxBody: jobs.MaxDocument})
	must(t, err)
	defer consumer.Close()
	batch, err := consumer.ReserveBatch(t.Context(), []string{inboxTube}, 10)
	must(t, err)
	if f.intake.take(t.Context(), batch) {
		t.Error("the ledger worked")
	}
	if !slices.Equal(sizes, []int{4, 1, 6}) {
		t.Errorf("transactions of %v documents", sizes)
	}
	if waiting, buried := f.onInbox(t); waiting != 2 || buried != 0 {
		t.Errorf("%d messages wait, %d are buried; want the two that are not recorded", waiting, buried)
	}
	for i, id := range all {
		if _, err := f.ledger.Get(t.Context(), id); (err == nil) != (i < 5) {
			t.Errorf("document %d: %v", i, err)
		}
	}
}
