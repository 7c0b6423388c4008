package dispatch

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// fresh returns the state of the servers without using an earlier answer.
func (f *fixture) fresh(t *testing.T) []api.Server {
	t.Helper()
	f.health.mu.Lock()
	f.health.at = time.Time{}
	f.health.mu.Unlock()
	return f.Servers(t.Context())
}

func TestServersCountOurTubes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.queued(t, jobs.NewID())
	f.queued(t, jobs.NewID())
	f.reserve(t)
	f.put(t, "runnerbean/inbox/n1", "x")
	f.put(t, "somebody/else", "x")
	got := f.fresh(t)
	want := []api.Server{{Addr: f.server.Addr, OK: true, State: api.ServerUp, Ready: 2, Inbox: 1, Reserved: 1}}
	ignore := cmpopts.IgnoreFields(api.Server{}, "Version", "ID", "Uptime", "Memory", "Since")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Error(diff)
	}
	s := got[0]
	if s.Version == "" || s.Version[0] == '"' || s.ID == "" {
		t.Errorf("got %+v", s)
	}
	// The process is a child of the test, so its memory can be read.
	if s.Memory < 100<<10 || s.Memory > 1<<30 {
		t.Errorf("memory is %d", s.Memory)
	}
}

func TestMemoryIsNotBelieved(t *testing.T) {
	t.Parallel()
	if n := serverRSS("another.example", 1); n != 0 {
		t.Errorf("another machine's process: %d", n)
	}
	host, err := os.Hostname()
	must(t, err)
	for _, pid := range []int{0, -1, syscall.Getpid()} {
		if n := serverRSS(host, pid); n != 0 {
			t.Errorf("process %d: %d", pid, n)
		}
	}
}

// TestServersAreRemembered checks that a server that hangs delays a caller only
// briefly.
func TestServersAreRemembered(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if got := f.fresh(t); !got[0].OK {
		t.Fatalf("got %+v", got)
	}
	f.server.Signal(syscall.SIGSTOP)
	defer f.server.Signal(syscall.SIGCONT)
	start := time.Now()
	if got := f.fresh(t); !got[0].OK || time.Since(start) > serversLimit {
		t.Errorf("after %s got %+v", time.Since(start), got)
	}
	f.health.mu.Lock()
	looking := f.health.looking
	f.health.mu.Unlock()
	<-looking
	if got := f.Servers(t.Context()); got[0].OK || got[0].Error == "" {
		t.Errorf("got %+v", got)
	}
}

func TestServersOfOneThatIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.server.Kill()
	got := f.fresh(t)
	if len(got) != 1 || got[0].OK || got[0].Error == "" || got[0].Addr != f.server.Addr {
		t.Errorf("got %+v", got)
	}
}

// TestOverdueMessagesAreForgotten checks that a message is forgotten once beanstalkd
// has taken it back.
func TestOverdueMessagesAreForgotten(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.queued(t, jobs.NewID())
	f.reserve(t)
	server := api.Server{ID: p.Server, Addr: f.server.Addr}
	f.health.overdue.add(p.Server, p.Message)
	f.health.overdue.add(p.Server, 4711) // there is no such message
	if n := f.health.overdue.count(t.Context(), &server); n != 0 {
		t.Errorf("%d are overdue, and none is", n)
	}
	if left := f.health.overdue.replacedOn(p.Server); len(left) != 0 {
		t.Errorf("still remembered: %v", left)
	}
}

func TestOverdue(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		state, left string
		want        bool
	}{{"reserved", "-1", true}, {"reserved", "0", false}, {"reserved", "", false}, {"delayed", "-1", false}, {"", "", false}} {
		if got := isOverdue(map[string]string{"state": test.state, "time-left": test.left}); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

// counter counts the calls of OnAction.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *counter) add(kind string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[kind] += n
}

func (c *counter) get(kind string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[kind]
}

func TestActionsAreTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seen := &counter{n: map[string]int{}}
	d, err := New(Config{
		Queue: queue.Config{Addrs: []string{f.server.Addr}}, Node: "n1", Ledger: f.ledger,
		OnAction: seen.add, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	must(t, err)
	defer d.Close()
	p := f.queued(t, jobs.NewID())
	must(t, f.producer.Remove(t.Context(), f.server.Addr, []uint64{p.Message}))
	a := d.reconciler.check
	f.later(a, time.Minute)
	d.reconciler.once(t.Context())
	if n := seen.get("resent"); n != 1 {
		t.Errorf("resent %d", n)
	}
	must(t, f.ledger.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "i2"}))
	if _, err := f.ledger.Claim(t.Context(), p.ID, ledger.Owner{Instance: "i2", Node: "n2"}, ""); err != nil {
		t.Fatal(err)
	}
	must(t, f.ledger.Nodes.Leave(t.Context(), "i2"))
	d.reconciler.once(t.Context())
	if n := seen.get("lost"); n != 1 {
		t.Errorf("lost %d", n)
	}
}

// TestStatesOfServers sees one server drain, hang and go, with the time of each change, and
// another one that has refused a message.
func TestStatesOfServers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	before := f.fresh(t)[0]
	if before.State != api.ServerUp || before.Since.IsZero() {
		t.Fatalf("got %+v", before)
	}
	f.health.mu.Lock()
	f.health.list[0].Since = f.health.list[0].Since.Add(-time.Hour)
	f.health.mu.Unlock()
	if got := f.fresh(t)[0]; !got.Since.Equal(before.Since.Add(-time.Hour)) {
		t.Errorf("the state has not changed, and is said to be so since %v", got.Since)
	}
	f.server.Signal(syscall.SIGUSR1)
	if got := f.fresh(t)[0]; got.State != api.ServerDraining || got.Since.Before(before.Since) {
		t.Errorf("got %+v", got)
	}
	f.server.Kill()
	if got := f.fresh(t)[0]; got.State != api.ServerDown || got.Since.Before(before.Since) {
		t.Errorf("got %+v", got)
	}
	for _, c := range []struct {
		server queue.Server
		want   api.ServerState
	}{
		{queue.Server{Refused: fmt.Errorf("x: %w", queue.ErrFull)}, api.ServerFull},
		{queue.Server{Refused: fmt.Errorf("x: %w", queue.ErrDraining)}, api.ServerUp}, // it drains no more
		{queue.Server{Slow: true}, api.ServerSlow},
		{queue.Server{Slow: true, Stats: map[string]string{"draining": "true"}}, api.ServerDraining},
	} {
		if got := serverOf(c.server).State; got != c.want {
			t.Errorf("%+v is %s, want %s", c.server, got, c.want)
		}
	}
}
