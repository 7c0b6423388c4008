package dispatch

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// pauser is the connection of another client. It uses tubes, so that they exist, and
// pauses them.
type pauser struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

func newPauser(t *testing.T, addr string) *pauser {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return &pauser{t, conn, bufio.NewReader(conn)}
}

func (p *pauser) say(command, want string) {
	p.t.Helper()
	_, err := fmt.Fprint(p.conn, command+"\r\n")
	must(p.t, err)
	if line, err := p.in.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
		p.t.Fatalf("%s: %q, %v", command, line, err)
	}
}

func (p *pauser) pause(seconds uint32, tubes ...string) {
	p.t.Helper()
	for _, tube := range tubes {
		p.say("watch "+tube, "WATCHING")
		p.say(fmt.Sprintf("pause-tube %s %d", tube, seconds), "PAUSED")
	}
}

// paused returns those of some tubes that are paused.
func (f *fixture) paused(t *testing.T, tubes []string) (list []string) {
	t.Helper()
	for _, tube := range tubes {
		stats, err := f.producer.TubeStats(t.Context(), f.server.Addr, tube)
		must(t, err)
		if stats["pause-time-left"] != "0" {
			list = append(list, tube)
		}
	}
	return list
}

func (f *fixture) kinds(t *testing.T, kind string) (messages []string) {
	t.Helper()
	events, err := f.ledger.Events.Newest(t.Context(), "", 1000)
	must(t, err)
	for _, e := range events {
		if e.Kind == kind {
			messages = append(messages, e.Message)
		}
	}
	return messages
}

// TestPausedTubesAreResumed checks that tubes from which this node takes messages are
// resumed with an event, however long the pause. All other tubes stay paused.
func TestPausedTubesAreResumed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stranger := newPauser(t, f.server.Addr)
	ours := append(f.sender.tubes.inboxes(), f.sender.tubes.run("cat"), f.sender.tubes.run("a-program-not-known-yet"))
	others := []string{
		"runnerbean/inbox/n2", queue.RunTube("runnerbean", "strangerxx", "cat"), "runnerbean/run/cat", "runnerbeans/inbox", "x",
	}
	for i, seconds := range []uint32{5, 3600, 4294967295} {
		stranger.pause(seconds, append(others, ours...)...)
		f.reconciler.paused.resumeAll(t.Context())
		if diff := cmp.Diff(others, f.paused(t, append(others, ours...))); diff != "" {
			t.Errorf("paused for %d s: %s", seconds, diff)
		}
		if got := f.kinds(t, "unpaused"); len(got) != len(ours) || !strings.Contains(got[0], "runnerbean drain") {
			t.Errorf("round %d: %d events: %q", i, len(got), got)
		}
	}
	if got := f.Paused(); len(got) > 0 {
		t.Errorf("still paused: %+v", got)
	}
}

// TestPausesOnSeveralServers checks that every server is looked at, and that a server
// that does not answer delays no other.
func TestPausesOnSeveralServers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	gone, second := queuetest.Start(t), queuetest.Start(t)
	d, err := New(Config{
		Queue: queue.Config{Addrs: []string{gone.Addr, f.server.Addr, second.Addr}}, Node: "n1", Ledger: f.ledger,
		Logger: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	defer d.Close()
	gone.Kill()
	for _, server := range []*queuetest.Server{f.server, second} {
		newPauser(t, server.Addr).pause(3600, f.sender.tubes.run("cat"))
	}
	d.reconciler.paused.resumeAll(t.Context())
	for _, server := range []*queuetest.Server{f.server, second} {
		list, err := PausedTubes(t.Context(), d.producer, server.Addr, "runnerbean", f.ledger.ID())
		if err != nil || len(list) > 0 {
			t.Errorf("%s: %+v, %v", server.Addr, list, err)
		}
	}
	if got := f.kinds(t, "unpaused"); len(got) != 2 {
		t.Errorf("events: %q", got)
	}
}

// TestPausedInboxOfOthers checks that a node with an inbox of its own does not resume
// the common one.
func TestPausedInboxOfOthers(t *testing.T) {
	t.Parallel()
	f := (&fixture{server: queuetest.Start(t)}).beside(t, "n1", InboxNode)
	newPauser(t, f.server.Addr).pause(3600, "runnerbean/inbox", "runnerbean/inbox/n1")
	f.reconciler.paused.resumeAll(t.Context())
	if got := f.paused(t, []string{"runnerbean/inbox", "runnerbean/inbox/n1"}); len(got) != 1 || got[0] != "runnerbean/inbox" {
		t.Errorf("paused: %q", got)
	}
}

// TestPausesCostNothing checks that the tubes of a server are not listed while it
// counts no new pause.
func TestPausesCostNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	asked := func() string {
		servers, err := f.producer.Servers(t.Context())
		must(t, err)
		return servers[0].Stats["cmd-list-tubes"]
	}
	f.reconciler.paused.resumeAll(t.Context())
	before := asked()
	for range 5 {
		f.reconciler.paused.resumeAll(t.Context())
	}
	if after := asked(); after != before {
		t.Errorf("asked %s times, before %s", after, before)
	}
}

// TestServersTellOfPauses checks that the state of a server includes its pauses, each
// with an end that does not change.
func TestServersTellOfPauses(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	stranger := newPauser(t, f.server.Addr)
	stranger.pause(3600, f.sender.tubes.run("cat"), "runnerbean/inbox")
	got := f.fresh(t)[0].Paused
	if len(got) != 2 || got[0].Tube != "runnerbean/inbox" || got[0].Program != "" || got[1].Program != "cat" || got[1].Addr != f.server.Addr {
		t.Fatalf("%+v", got)
	}
	if left := time.Until(got[1].Until); left < 50*time.Minute || left > time.Hour {
		t.Errorf("until %s", got[1].Until)
	}
	if diff := cmp.Diff(got, f.fresh(t)[0].Paused); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(got, f.Paused()); diff != "" {
		t.Error(diff)
	}
	listed, err := PausedTubes(t.Context(), f.producer, f.server.Addr, "runnerbean", f.ledger.ID())
	must(t, err)
	if len(listed) != 2 || listed[1].Tube != f.sender.tubes.run("cat") {
		t.Errorf("%+v", listed)
	}
	stranger.pause(0, f.sender.tubes.run("cat"), "runnerbean/inbox")
	waitFor(t, func() bool { return len(f.fresh(t)[0].Paused) == 0 && len(f.Paused()) == 0 })
}

// TestPausesEndByThemselves checks that the reconciler resumes tubes on each server,
// repeatedly.
func TestPausesEndByThemselves(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.serve(t)
	stranger := newPauser(t, f.server.Addr)
	for range 2 {
		stranger.pause(3600, f.sender.tubes.run("cat"), "runnerbean/inbox")
		waitFor(t, func() bool { return len(f.paused(t, []string{f.sender.tubes.run("cat"), "runnerbean/inbox"})) == 0 })
	}
	id := jobs.NewID()
	f.put(t, "runnerbean/inbox", document(id, "cat"))
	f.state(t, id, jobs.Queued)
	if got := f.hint(t, "cat"); got != id {
		t.Errorf("hint names %s", got)
	}
}
