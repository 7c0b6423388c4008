package node

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/ledger/activity"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// waitLimit bounds every wait.
const waitLimit = 30 * time.Second

// testNode is a node in the process of the test.
type testNode struct {
	*Node
	t    *testing.T
	stop func()
}

// startNode starts a node on a folder, which an earlier node may have used.
func startNode(t *testing.T, folder, beanstalkd string) *testNode {
	t.Helper()
	set := settings.Settings{
		Beanstalkd: []string{beanstalkd}, Prefix: "test", Node: "n1", Data: folder, Programs: filepath.Join(folder, "programs"),
		Slots: 2, Listen: "127.0.0.1:0", Timeout: time.Minute, Attempts: 1, Grace: time.Second, ShutdownGrace: time.Second, Lease: 4 * time.Second,
	}
	if err := set.FillDefaults(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(set.Programs, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(set.Programs, "cat"), []byte("#!/bin/sh\ncat\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), set, Log{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx, ctx) }()
	in := &testNode{Node: n, t: t}
	in.stop = func() {
		cancel()
		if err := errors.Join(<-ended, n.Close()); err != nil {
			t.Error(err)
		}
		in.stop = func() {}
	}
	t.Cleanup(func() { in.stop() })
	return in
}

func (n *testNode) until(what string, ok func() bool) {
	n.t.Helper()
	for end := time.Now().Add(waitLimit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			n.t.Fatalf("never came to pass: %s", what)
		}
	}
}

// row returns the record of the node in the ledger.
func (n *testNode) row() (row nodes.Node) {
	n.t.Helper()
	list, err := n.ledger.Nodes.List(n.t.Context())
	if err != nil {
		n.t.Fatal(err)
	}
	for _, one := range list {
		if one.Instance == n.instance {
			row = one
		}
	}
	return row
}

func (n *testNode) submit() string {
	n.t.Helper()
	return n.submitInput(1)
}

func (n *testNode) submitInput(value any) string {
	n.t.Helper()
	input, err := json.Marshal(value)
	if err != nil {
		n.t.Fatal(err)
	}
	j := jobs.Job{ID: jobs.NewID(), Program: "cat", Input: jobs.Input{Data: input}, Created: time.Now().UTC()}
	j.Result.URL = n.set.BaseURL + "/" + j.ID
	document, err := json.Marshal(j)
	if err != nil {
		n.t.Fatal(err)
	}
	// A ledger that is slow to tell the room in its file can make a node refuse for a moment.
	n.until("the job is accepted", func() bool {
		a, err := n.dispatcher.Accept(n.t.Context(), [][]byte{document}, "")
		if _, held := errors.AsType[*dispatch.Held](err); held {
			return false
		}
		if err != nil || a[0].Err != nil {
			n.t.Fatal(a, err)
		}
		return true
	})
	return j.ID
}

func (n *testNode) state(id string) jobs.State {
	n.t.Helper()
	r, err := n.ledger.Get(n.t.Context(), id)
	if err != nil {
		n.t.Fatal(err)
	}
	return r.State
}

func TestControlTakesEffectAndSurvivesARestart(t *testing.T) {
	t.Parallel()
	folder, server := t.TempDir(), queuetest.Start(t)
	n := startNode(t, folder, server.Addr)
	first := n.submit()
	n.until("it works", func() bool { return n.state(first) == jobs.Succeeded })
	c, err := n.gate.control(t.Context(), "n1", func(c *nodes.Control) {
		c.Slots, c.Paused, c.Reason = new(5), true, "backup"
	}, "ada", nil)
	if err != nil || !c.Paused || *c.Slots != 5 {
		t.Fatalf("%+v, %v", c, err)
	}
	if n.worker.Slots() != 5 || !n.worker.Paused() {
		t.Errorf("%d slots, paused %v", n.worker.Slots(), n.worker.Paused())
	}
	n.until("the heartbeat says so", func() bool { return n.row().Slots == 5 })
	if _, err := n.gate.control(t.Context(), "n1", func(*nodes.Control) {}, "ada", &time.Time{}); !errors.Is(err, engine.ErrChanged) {
		t.Errorf("what has changed meanwhile: %v", err)
	}
	n.stop()

	n = startNode(t, folder, server.Addr)
	waits := n.submit()
	n.until("the heartbeat of the next instance says so", func() bool { return n.row().Slots == 5 })
	if got := n.state(waits); got != jobs.Queued || !n.worker.Paused() {
		t.Errorf("the job is %s, paused %v", got, n.worker.Paused())
	}
	// This is what another node does. This node must notice it.
	if _, err := n.ledger.Nodes.SetControl(t.Context(), "n1", func(c *nodes.Control) { c.Slots, c.Paused = nil, false }, "ada", nil); err != nil {
		t.Fatal(err)
	}
	n.until("it works again", func() bool { return n.state(waits) == jobs.Succeeded })
	n.until("its slots are those of its settings", func() bool { return n.row().Slots == 2 })
}

// TestControlStaysWhileTheLedgerCannotBeRead checks that an error changes nothing.
func TestControlStaysWhileTheLedgerCannotBeRead(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), queuetest.Start(t).Addr)
	if _, err := n.gate.control(t.Context(), "n1", func(c *nodes.Control) { c.Slots, c.Paused = new(1), true }, "ada", nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := n.gate.look(ctx); err == nil {
		t.Error("a look that cannot read is none")
	}
	if n.worker.Slots() != 1 || !n.worker.Paused() {
		t.Errorf("%d slots, paused %v", n.worker.Slots(), n.worker.Paused())
	}
}

func TestHeartbeatSaysHowTheMachineDoes(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), queuetest.Start(t).Addr)
	n.until("it has said so", func() bool { return len(n.row().Vitals) > 0 })
	var v api.Vitals
	if err := json.Unmarshal(n.row().Vitals, &v); err != nil {
		t.Fatal(err)
	}
	if v.CPUs < 1 || v.MemoryTotal <= 0 || v.Processes == nil || time.Since(v.At) > waitLimit {
		t.Errorf("%+v", v)
	}
	var uses []string
	for _, d := range v.Disks {
		uses = append(uses, strings.Split(d.Use, ", ")...)
	}
	if diff := cmp.Diff([]string{"data", "ledger", "store", "scratch", "programs"}, uses); diff != "" {
		t.Error(diff)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	set := settings.Settings{Data: "/d", Ledger: "sqlite:/l/ledger.db", Store: "file:///s%20t", Programs: "/p", MinFree: 7}
	want := [][2]string{{"/d", "data"}, {"/l", "ledger"}, {"/s t", "store"}, {"/d/scratch", "scratch"}, {"/p", "programs"}}
	var got [][2]string
	for _, p := range places(set, "/d/scratch", nil) {
		got = append(got, [2]string{p.Path, p.Use})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNodeCounts checks that a node records the length of its queue.
func TestNodeCounts(t *testing.T) {
	t.Parallel()
	n := startNode(t, t.TempDir(), queuetest.Start(t).Addr)
	begun := time.Now()
	id := n.submit()
	n.until("the job has ended", func() bool { return n.state(id) == jobs.Succeeded })
	n.until("the length of the queue is noted", func() bool {
		a, err := n.ledger.Activity.History(t.Context(), begun.Add(-time.Minute), time.Now().Add(time.Minute), "")
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(a.Depth, func(d activity.Depth) bool { return d.Queued >= 0 })
	})
}

func TestWebhookKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "webhook.key")
	first, err := webhookKey(path)
	if err != nil {
		t.Fatal(err)
	}
	again, err := webhookKey(path)
	if err != nil || string(again) != string(first) || len(first) != 32 {
		t.Errorf("%x, then %x, %v", first, again, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.WriteFile(path, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := webhookKey(path); err == nil || strings.Contains(err.Error(), "hello") {
		t.Errorf("a bad key: %v", err)
	}
}

func TestHTTPTakesWhatTheWorkLeaves(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ files, slots, servers, want int }{
		{256, 2, 1, 98}, {1024, 4, 1, 728}, {1024, 4, 3, 714}, {1024, 64, 1, 224}, {64, 8, 1, 14}, {20_000, 2, 1, 17_374}, {65_536, 1024, 1, 32 << 10}, {1 << 30, 8, 1, 32 << 10}, {0, 0, 1, 8},
	} {
		if got := HTTPConnections(test.files, test.slots, test.servers); got != test.want {
			t.Errorf("of %d files with %d slots: %d connections, want %d", test.files, test.slots, got, test.want)
		}
	}
}
