package worker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// savesOnSignal is a program that counts its steps, and saves the number on SIGUSR1. It ends once
// the file gate exists, with the number with which it began.
func savesOnSignal(gate string) string {
	return `began=$(cat checkpoint/n 2>/dev/null || echo 0); n=$began
		trap 'echo $n >tmp/n; mv tmp/n checkpoint/n; echo "{\"checkpoint\":true}" >&3' USR1
		echo '{"message":"running"}' >&3
		while [ ! -e ` + gate + ` ]; do n=$((n + 1)); sleep 0.01; done; echo $began`
}

const onSignal = `{"checkpoint":"SIGUSR1"}`

// announce makes the node announce its programs, as its heartbeat does.
func (n *node) announce() {
	n.r.t.Helper()
	n.r.must(n.r.ledger.Nodes.Beat(context.Background(), n.cfg.Instance, n.Programs(), n.Slots(), nil))
}

// eventsOf returns the events of a kind of a job, the newest first.
func (r *fixture) eventsOf(id, kind string) (said []string) {
	r.t.Helper()
	events, err := r.ledger.Events.Newest(context.Background(), id, 100)
	r.must(err)
	for _, e := range events {
		if e.Kind == kind {
			said = append(said, e.Message)
		}
	}
	return said
}

// request returns what is asked of the program of a job; false if nothing is.
func (r *fixture) request(id string) (checkpoints.Request, bool) {
	r.t.Helper()
	list, err := r.ledger.Checkpoints.Requests(context.Background(), []string{id})
	r.must(err)
	if len(list) == 0 {
		return checkpoints.Request{}, false
	}
	return list[0], true
}

func (r *fixture) awaitAnswer(id string) {
	r.t.Helper()
	r.until("the request is answered", func() bool { _, open := r.request(id); return !open })
}

// TestCheckpointOnRequest asks a running program for a checkpoint, at the ledger of its node and
// at another one. The job runs on.
func TestCheckpointOnRequest(t *testing.T) {
	t.Parallel()
	for _, elsewhere := range []bool{false, true} {
		t.Run(map[bool]string{false: "here", true: "at another node"}[elsewhere], func(t *testing.T) {
			t.Parallel()
			r := newFixture(t)
			gate := filepath.Join(r.dir, "gate")
			r.installFolder("p", savesOnSignal(gate), onSignal)
			r.start().announce()
			id := r.submit(job("p"))
			r.awaitMessage(id)
			asks := *r
			if elsewhere {
				asks.openLedger()
			}
			for want := range 2 {
				asks.act(ledger.VerbCheckpoint, id)
				r.awaitAnswer(id)
				if got := numbers(r.kept(id)); len(got) != want+1 || got[0] != want+1 {
					t.Fatalf("kept are %v", got)
				}
			}
			r.must(os.WriteFile(gate, nil, 0o600))
			r.await(id, jobs.Succeeded)
			if record := r.get(id); record.Attempt != 1 || len(r.eventsOf(id, eventlog.KindCheckpointAsked)) != 2 {
				t.Errorf("%d attempts, events %q", record.Attempt, r.eventsOf(id, eventlog.KindCheckpointAsked))
			}
		})
	}
}

// TestCheckpointOfAPausedProgram asks a program that stands still. It answers when it goes on.
func TestCheckpointOfAPausedProgram(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.installFolder("p", savesOnSignal(gate), onSignal)
	n := r.start()
	n.announce()
	id := r.submit(job("p"))
	r.awaitMessage(id)
	n.Pause("a test")
	r.act(ledger.VerbCheckpoint, id)
	n.Resume()
	r.awaitAnswer(id)
	r.awaitKept(id, 1)
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
}

// TestUnableProgram asks programs that do not save on request, or not yet. No signal reaches
// them: they would not survive it.
func TestUnableProgram(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.install("knows-nothing", `echo '{"message":"running"}' >&3; while [ ! -e `+gate+` ]; do sleep 0.01; done; echo 1`)
	r.installFolder("not-ready", `echo '{"message":"running"}' >&3; while [ ! -e `+gate+` ]; do sleep 0.01; done; `+savesOnSignal(gate+"2"), onSignal)
	r.start().announce()
	first, second := r.submit(job("knows-nothing")), r.submit(job("not-ready"))
	r.awaitMessage(first)
	r.awaitMessage(second)
	acted, err := r.ledger.Act(t.Context(), ledger.VerbCheckpoint, "a person", []ledger.Target{{ID: first}, {ID: second}})
	r.must(err)
	if !errors.Is(acted[0].Err, checkpoints.ErrUnable) || acted[1].Err != nil {
		t.Errorf("%v, %v", acted[0].Err, acted[1].Err)
	}
	if _, open := r.request(first); open {
		t.Error("the program is asked")
	}
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(first, jobs.Succeeded)
	r.awaitAnswer(second) // once it has its handler
	r.awaitKept(second, 1)
	r.must(os.WriteFile(gate+"2", nil, 0o600))
	r.await(second, jobs.Succeeded)
	if record := r.get(second); record.Attempt != 1 {
		t.Errorf("%d attempts", record.Attempt)
	}
}

// TestRequestNotKept asks a program for a checkpoint that cannot be kept. An event says why, and
// both the job and the checkpoint before go on.
func TestRequestNotKept(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.MaxScratch = 1 << 30 })
	gate := filepath.Join(r.dir, "gate")
	r.installFolder("p", `mkdir checkpoint/d; echo '{"checkpoint":true}' >&3
		trap 'truncate -s 600M checkpoint/a; truncate -s 600M checkpoint/b; echo "{\"checkpoint\":true}" >&3' USR1
		while [ ! -e `+gate+` ]; do sleep 0.01; done; echo 1`, onSignal)
	r.start().announce()
	id := r.submit(job("p"))
	r.awaitKept(id, 1)
	r.act(ledger.VerbCheckpoint, id)
	r.awaitAnswer(id)
	r.awaitKept(id, 1)
	said := strings.Join(r.eventsOf(id, eventlog.KindCheckpointNone), "\n")
	for _, want := range []string{
		"a checkpoint of attempt 1 is not kept: its files are larger than 1.0 GiB together",
		"the checkpoint for which a person has asked is not kept: its files are larger than 1.0 GiB together",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("events %q, want %q", said, want)
		}
	}
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
}

// TestFloodOfCheckpoints has a program write its event all the time. It has one request, and a
// few events about what is not kept.
func TestFloodOfCheckpoints(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.installFolder("p", `trap 'touch asked' USR1; n=0; while [ ! -e `+gate+` ]; do n=$((n + 1))
		if [ $((n % 2)) = 0 ]; then rm -f checkpoint/l; echo $n >tmp/n; mv tmp/n checkpoint/n; else ln -sf /x$n checkpoint/l; fi
		echo '{"checkpoint":true}' >&3; done; echo 1`, onSignal)
	r.start().announce()
	id := r.submit(job("p"))
	r.until("it runs", func() bool { return r.get(id).State == jobs.Running })
	r.act(ledger.VerbCheckpoint, id)
	r.act(ledger.VerbCheckpoint, id) // changes nothing
	r.awaitAnswer(id)
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
	if n := len(r.eventsOf(id, eventlog.KindCheckpointNone)); n > 4 {
		t.Errorf("%d events", n)
	}
}

// other starts another node of the same ledger, with the same programs.
func (r *fixture) other(name string, options ...func(*Config)) *node {
	r.t.Helper()
	cfg := r.cfg
	cfg.Node, cfg.Instance, cfg.Scratch = name, jobs.NewID(), filepath.Join(r.dir, "scratch-"+name)
	for _, option := range options {
		option(&cfg)
	}
	r.must(os.MkdirAll(cfg.Scratch, 0o755))
	r.must(r.ledger.Nodes.Register(context.Background(), nodes.Node{Name: name, Instance: cfg.Instance, Home: cfg.Scratch, Slots: cfg.Slots}))
	w, err := New(cfg)
	r.must(err)
	n := r.run(w)
	n.announce()
	return n
}

// TestDrainHandsOver drains a node. Its job goes on at another one from its checkpoint, as soon as
// there is one that takes work; a program that does not save on request runs on.
func TestDrainHandsOver(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.installFolder("p", savesOnSignal(gate), onSignal)
	r.install("stays", `echo '{"message":"running"}' >&3; while [ ! -e `+gate+` ]; do sleep 0.01; done; echo 1`)
	first := r.start()
	first.announce()
	goes, stays := r.submit(job("p")), r.submit(job("stays"))
	r.awaitMessage(goes)
	r.awaitMessage(stays)
	first.Hold("drained") // as the node does
	r.must(r.ledger.Nodes.Drain(context.Background(), "n1", "a person", ""))
	r.other("n2", func(c *Config) { c.Slots = 1 })
	r.until("the job has moved", func() bool { return r.get(goes).Node == "n2" })
	r.awaitKept(goes, 1)
	if got := r.get(stays).Node; got != "n1" {
		t.Errorf("the other job is on node %s", got)
	}
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(stays, jobs.Succeeded)
	r.await(goes, jobs.Succeeded)
	if began := string(r.result(goes).Result); began == "0" {
		t.Errorf("it began with %s", began)
	}
	record := r.get(goes)
	if diff := cmp.Diff([]jobs.Outcome{jobs.OutcomeInterrupted, jobs.OutcomeSucceeded}, r.outcomes(goes)); diff != "" || record.Spent != 0 {
		t.Errorf("%d spent; %s", record.Spent, diff)
	}
	if got := r.attempts(goes)[0].Message; got != "interrupted: node n1 is drained, and the program has saved a checkpoint" {
		t.Errorf("the attempt says %q", got)
	}
}

// TestDrainWithoutAnotherNode drains the only node. Its job runs to its end.
func TestDrainWithoutAnotherNode(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate := filepath.Join(r.dir, "gate")
	r.installFolder("p", savesOnSignal(gate), onSignal)
	n := r.start()
	n.announce()
	// One that does not have the program, one that is drained, and one without slots.
	empty := filepath.Join(r.dir, "no-programs")
	r.must(os.MkdirAll(empty, 0o755))
	r.other("n2", func(c *Config) { c.Programs = empty })
	r.other("n3").Hold("drained")
	r.must(r.ledger.Nodes.Drain(context.Background(), "n3", "", ""))
	id := r.submit(job("p"))
	r.awaitMessage(id)
	r.must(r.ledger.Nodes.Drain(context.Background(), "n1", "a person", ""))
	// The watcher has looked at the drain before it serves a request.
	r.act(ledger.VerbCheckpoint, id)
	r.awaitAnswer(id)
	r.act(ledger.VerbCheckpoint, id)
	r.awaitAnswer(id)
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
	if got := r.outcomes(id); len(got) != 1 || len(r.eventsOf(id, eventlog.KindInterrupted)) != 0 {
		t.Errorf("outcomes %v", got)
	}
}

// TestBegunWorkIsTakenUpFirst stops a node with 50 new jobs in the queue. The job that ran is the
// first to run then.
func TestBegunWorkIsTakenUpFirst(t *testing.T) {
	t.Parallel()
	r := newFixture(t, func(c *Config) { c.Slots, c.ShutdownGrace = 1, -1 })
	order := filepath.Join(r.dir, "order")
	r.install("p", `echo $RUNNERBEAN_JOB_ID >>`+order+`; [ -e checkpoint/n ] && { echo 1; exit; }
		[ -s `+order+`.began ] && { echo 1; exit; }; echo began >`+order+`.began
		trap 'echo 41 >checkpoint/n; exit 85' TERM; echo '{"message":"running"}' >&3; while :; do sleep 0.01; done`)
	n := r.start()
	id := r.submit(job("p"))
	r.awaitMessage(id)
	fresh := r.queued(50, "p", jobs.DefaultPriority)
	n.stop()
	n.wait()
	servers, err := r.producer.Servers(context.Background())
	r.must(err)
	placed, err := r.ledger.Queue(context.Background(), servers[0].ID, "p", ledger.Placed{}, 100)
	r.must(err)
	at := slices.IndexFunc(placed, func(p ledger.Placed) bool { return p.ID == id })
	stats, err := r.producer.MessageStats(t.Context(), r.bean.Addr, []uint64{placed[at].Message})
	r.must(err)
	if got := stats[0]["pri"]; got != "1023" {
		t.Errorf("its message has priority %s", got)
	}
	r.start()
	r.await(fresh[len(fresh)-1], jobs.Succeeded)
	text, err := os.ReadFile(order)
	r.must(err)
	if ran := strings.Fields(string(text)); len(ran) != 52 || ran[0] != id || ran[1] != id {
		t.Errorf("%d have run, first %s, want %s", len(ran), ran[:2], id)
	}
}

// TestCancelKeepsACheckpoint cancels a program that saves on SIGTERM. A retry goes on from there.
func TestCancelKeepsACheckpoint(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{"with an event": `echo '{"checkpoint":true}' >&3; exit 1`, "with exit code 85": `exit 85`} {
		for _, verb := range []ledger.Verb{ledger.VerbCancel, ledger.VerbStop} {
			t.Run(string(verb)+" "+name, func(t *testing.T) {
				t.Parallel()
				r := newFixture(t)
				r.install("p", `[ -e checkpoint/n ] && { cat checkpoint/n; exit; }
					save() { echo 41 >checkpoint/n; `+end+`; }
					trap save TERM; echo '{"message":"running"}' >&3; while :; do sleep 0.01; done`)
				r.start()
				j := job("p")
				id := r.submit(j)
				r.awaitMessage(id)
				r.act(verb, id)
				r.await(id, jobs.Cancelled)
				r.awaitKept(id, 1)
				r.act(ledger.VerbRetry, id)
				r.put(j)
				r.await(id, jobs.Succeeded)
				if got := string(r.result(id).Result); got != "41" {
					t.Errorf("the result is %s", got)
				}
			})
		}
	}
}

// TestDrainOfAProgramThatIgnoresIt drains a node whose program ignores what it is asked. It runs on.
func TestDrainOfAProgramThatIgnoresIt(t *testing.T) {
	t.Parallel()
	r := newFixture(t)
	gate, got := filepath.Join(r.dir, "gate"), filepath.Join(r.dir, "got")
	r.installFolder("p", `trap 'touch `+got+`' USR1; echo '{"message":"running"}' >&3; while [ ! -e `+gate+` ]; do sleep 0.01; done; echo 1`, onSignal)
	first := r.start()
	first.announce()
	id := r.submit(job("p"))
	r.awaitMessage(id)
	first.Hold("drained")
	r.must(r.ledger.Nodes.Drain(context.Background(), "n1", "", ""))
	r.other("n2")
	r.until("it has the signal", func() bool { _, err := os.Stat(got); return err == nil })
	r.must(os.WriteFile(gate, nil, 0o600))
	r.await(id, jobs.Succeeded)
	if outcomes := r.outcomes(id); !slices.Equal(outcomes, []jobs.Outcome{jobs.OutcomeSucceeded}) {
		t.Errorf("outcomes %v", outcomes)
	}
}
