package main

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// TestNodesThatShareBeanstalkdOnly runs nodes with different ledgers and the same
// program. Each job must run on the node in whose inbox it was put, and none may wait for
// the reconciler.
func TestNodesThatShareBeanstalkdOnly(t *testing.T) {
	t.Parallel()
	const all = 500
	for _, nodes := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) {
			server := queuetest.Start(t)
			pool := make([]*process, nodes)
			for i := range pool {
				pool[i] = newNode(t, server.Addr)
				pool[i].install("who", "cat >/dev/null; echo '\"'w"+fmt.Sprint(i+1)+"'\"'")
				pool[i].env = append(pool[i].env, fmt.Sprintf("RUNNERBEAN_NODE=w%d", i+1))
				pool[i].start("worker")
			}
			began := time.Now()
			ids := putInTurn(t, server.Addr, pool, all)
			for i, p := range pool {
				for n := -1; n < len(ids[i]); {
					p.until("more of its jobs end", func() bool { return p.succeeded() > n })
					n = p.succeeded()
				}
				t.Logf("node %d of %d: %d jobs ended after %v", i+1, nodes, len(ids[i]), time.Since(began).Round(time.Millisecond))
			}
			for i, p := range pool {
				p.wantOwn(fmt.Sprintf("w%d", i+1), ids[i])
			}
			pool[0].wantEmptyTubes(server.Addr)
		})
	}
}

// putInTurn has a client for each node put jobs in turn, and returns the ids by node.
func putInTurn(t *testing.T, addr string, pool []*process, n int) [][]string {
	t.Helper()
	ids := make([][]string, len(pool))
	for at, p := range pool {
		client, err := jobs.New(jobs.Config{Beanstalkd: []string{addr}, Node: fmt.Sprintf("w%d", at+1), BaseURL: p.url})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		var list []jobs.Job
		for i := at; i < n; i += len(pool) {
			list = append(list, jobs.Job{Program: "who", Input: jobs.Input{Data: fmt.Append(nil, i)}})
		}
		put, err := client.EnqueueBatch(t.Context(), list)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range put {
			if want := p.url + "/" + e.Job.ID; e.Err != nil || e.Job.Result.URL != want {
				t.Fatalf("the result of a job is to be at %s, not %s: %v", want, e.Job.Result.URL, e.Err)
			}
			ids[at] = append(ids[at], e.Job.ID)
		}
	}
	return ids
}

// TestWarningOfASharedInbox checks that log, doctor and overview warn where nodes of two
// ledgers take from one inbox, and that following the advice ends the warning.
func TestWarningOfASharedInbox(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	first, second := newNode(t, server.Addr), newNode(t, server.Addr)
	second.env = append(second.env, "RUNNERBEAN_NODE=n2")
	first.start("worker")
	out, _, _ := first.client("", "doctor")
	if strings.Contains(out, "nother ledger") {
		t.Errorf("doctor warns of nobody:\n%s", out)
	}
	const want = "Another ledger (node n1) also takes documents from runnerbean/inbox"
	// doctor also warns before the node starts.
	if out, _, _ := second.client("", "doctor"); !strings.Contains(out, want) || !strings.Contains(out, "RUNNERBEAN_PREFIX") {
		t.Errorf("doctor before the start:\n%s", out)
	}
	second.start("worker")
	second.until("a warning in the log", func() bool { return strings.Contains(second.log.String(), want) })
	second.until("a warning on the overview", func() bool { return second.finds(want) })
	out, _, _ = second.client("", "doctor")
	if !strings.Contains(out, want) || !strings.Contains(out, "RUNNERBEAN_INBOX=node") {
		t.Errorf("doctor:\n%s", out)
	}
	first.until("a warning on the first node", func() bool { return first.finds("Another ledger (node n2)") })

	second.end(syscall.SIGTERM)
	second.env = append(second.env, "RUNNERBEAN_INBOX=node")
	second.start("worker")
	first.until("the end of the warning", func() bool { return !first.finds("nother ledger") })
	if out, _, _ = second.client("", "doctor"); strings.Contains(out, "nother ledger") {
		t.Errorf("doctor warns still:\n%s", out)
	}
	if second.finds("nother ledger") {
		t.Error("the overview warns still")
	}
}

// TestPausedTubesOfANode pauses tubes for an hour. The node must resume them within
// seconds and record an event; without a node doctor must report them.
func TestPausedTubesOfANode(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	p := newNode(t, server.Addr)
	p.start("worker")
	producer, err := queue.NewProducer(queue.Config{Addrs: []string{server.Addr}})
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	var run string
	p.until("the node takes from its tubes", func() bool {
		tubes, err := producer.Tubes(t.Context(), server.Addr)
		at := slices.IndexFunc(tubes, func(tube string) bool { return strings.HasSuffix(tube, "/echo") })
		if err != nil || at < 0 || !slices.Contains(tubes, "runnerbean/inbox") {
			return false
		}
		run = tubes[at]
		return true
	})
	stranger, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	pause := func() {
		t.Helper()
		answers := bufio.NewReader(stranger)
		for _, command := range []string{"watch " + run, "watch runnerbean/inbox", "pause-tube " + run + " 3600", "pause-tube runnerbean/inbox 3600"} {
			fmt.Fprint(stranger, command+"\r\n")
			if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "WATCHING") && !strings.HasPrefix(line, "PAUSED") {
				t.Fatalf("%s: %q, %v", command, line, err)
			}
		}
	}
	pause()
	id := jobs.NewID()
	putByHand(t, server.Addr, fmt.Sprintf(`{"id":%q,"program":"echo","input":{"data":1},"result":{"url":"%s/%s"}}`, id, p.url, id))
	if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded {
		t.Errorf("state %s", r.State)
	}
	var page api.EventPage
	p.api("/api/v1/events?kind=unpaused", &page)
	if len(page.Events) == 0 {
		t.Error("no event tells of it")
	}
	p.end(syscall.SIGTERM)
	pause()
	out, _, _ := p.client("", "doctor")
	if !strings.Contains(out, run+" on "+server.Addr+" is paused") || !strings.Contains(out, "runnerbean/inbox on "+server.Addr+" is paused") {
		t.Errorf("doctor:\n%s", out)
	}
}

// TestDoctorSeesAServerWithoutABinlog starts beanstalkd without and with a binlog.
func TestDoctorSeesAServerWithoutABinlog(t *testing.T) {
	t.Parallel()
	addr := freePort(t)
	host, port, _ := net.SplitHostPort(addr)
	bare := exec.CommandContext(t.Context(), "beanstalkd", "-l", host, "-p", port)
	if err := bare.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bare.Process.Kill(); bare.Wait() })
	p := newNode(t, addr)
	const want = "keeps no binlog"
	p.until("doctor warns", func() bool {
		out, _, _ := p.client("", "doctor")
		return strings.Contains(out, want) && strings.Contains(out, "-b FOLDER")
	})
	good := newNode(t, queuetest.Start(t).Addr)
	if out, _, _ := good.client("", "doctor"); strings.Contains(out, want) {
		t.Errorf("with a binlog:\n%s", out)
	}
}

// succeeded returns the number of succeeded jobs in the ledger of the node.
func (p *process) succeeded() int {
	p.t.Helper()
	var overview api.Overview
	p.api("/api/v1/overview", &overview)
	return int(overview.Counts[jobs.Succeeded])
}

// wantOwn checks that jobs ran once, on this node, and that nothing else happened to
// them.
func (p *process) wantOwn(node string, ids []string) {
	p.t.Helper()
	for _, id := range ids {
		r, ok := p.get(p.url + "/" + id)
		if !ok || r.State != jobs.Succeeded || r.Attempt != 1 || string(r.Result) != `"`+node+`"` {
			p.t.Errorf("job %s of %s: %s in attempt %d with %s", id, node, r.State, r.Attempt, r.Result)
		}
	}
	var page api.EventPage
	p.api("/api/v1/events?limit=1000", &page)
	for _, e := range page.Events {
		// On a busy machine it may take seconds until a message is put.
		if (e.Job != "" || e.Kind == "resent") && !strings.Contains(e.Message, "no message was put for it yet") {
			p.t.Errorf("%s: %s of job %s: %s", node, e.Kind, e.Job, e.Message)
		}
	}
	if log := p.log.String(); strings.Contains(log, "does not know") {
		p.t.Errorf("%s says:\n%s", node, log)
	}
}

// wantEmptyTubes waits until no tube has a message.
func (p *process) wantEmptyTubes(addr string) {
	p.t.Helper()
	producer, err := queue.NewProducer(queue.Config{Addrs: []string{addr}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer producer.Close()
	p.until("all tubes are empty", func() bool {
		servers, err := producer.Servers(p.t.Context())
		if err != nil {
			return false
		}
		states := []string{"ready", "reserved", "delayed", "buried"}
		return !slices.ContainsFunc(states, func(state string) bool { return servers[0].Stats["current-jobs-"+state] != "0" })
	})
}

// finds reports whether the overview has a finding with this text.
func (p *process) finds(text string) bool {
	p.t.Helper()
	var overview api.Overview
	p.api("/api/v1/overview", &overview)
	return slices.ContainsFunc(overview.Verdict.Findings, func(f api.Finding) bool { return strings.Contains(f.Text, text) })
}
