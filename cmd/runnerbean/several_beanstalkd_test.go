//go:build pool

package main

import (
	"context"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// severalServers starts some servers. It returns their setting, too.
func severalServers(t *testing.T, n int) (servers []*queuetest.Server, setting string) {
	t.Helper()
	addrs := make([]string, n)
	for i := range addrs {
		servers = append(servers, queuetest.Start(t))
		addrs[i] = servers[i].Addr
	}
	return servers, strings.Join(addrs, ",")
}

// clientOf returns a client that puts jobs of a node on the servers of a setting.
func (p *process) clientOf(setting string, copies int) *jobs.Client {
	p.t.Helper()
	client, err := jobs.New(jobs.Config{Beanstalkd: strings.Split(setting, ","), BaseURL: p.url, Copies: copies})
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { client.Close() })
	return client
}

// messages returns how many messages the servers have in all tubes of the node.
func (p *process) messages() (n int64) {
	p.t.Helper()
	var o api.Overview
	p.api("/api/v1/overview", &o)
	for _, s := range o.Servers {
		n += s.Ready + s.Reserved + s.Delayed + s.Buried
	}
	return n
}

// echoes returns jobs.
func echoes(n int) []jobs.Job {
	list := make([]jobs.Job, n)
	for i := range list {
		list[i] = jobs.Job{Program: "echo", Input: jobs.Data(i)}
	}
	return list
}

// endsOnce waits for the success of a job, and checks that it ran once.
func (p *process) endsOnce(id string) {
	p.t.Helper()
	if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded || r.Attempt != 1 {
		p.t.Errorf("job %s: %s in attempt %d", id, r.State, r.Attempt)
	}
}

// TestPoolCopiesOutliveTheirServers puts jobs on three servers while no node runs, and kills any
// two of them with their disks.
func TestPoolCopiesOutliveTheirServers(t *testing.T) {
	t.Parallel()
	for left := range 3 {
		servers, setting := severalServers(t, 3)
		p := newNode(t, setting)
		client := p.clientOf(setting, 3)
		alone, err := client.Enqueue(t.Context(), echoes(1)[0])
		if err != nil {
			t.Fatal(err)
		}
		all, err := client.EnqueueBatch(t.Context(), echoes(300))
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range servers {
			if i != left {
				s.Kill()
				s.Wipe()
			}
		}
		p.start("worker")
		p.endsOnce(alone.ID)
		for _, e := range all {
			p.endsOnce(e.Job.ID)
		}
		p.end(syscall.SIGTERM)
	}
}

// TestPoolCopiesRunOnce puts jobs on three servers of a node that runs, and once more after
// their end: each runs once, and no message stays.
func TestPoolCopiesRunOnce(t *testing.T) {
	t.Parallel()
	_, setting := severalServers(t, 3)
	p := newNode(t, setting)
	p.start("worker")
	client := p.clientOf(setting, 3)
	all, err := client.EnqueueBatch(t.Context(), echoes(200))
	if err != nil {
		t.Fatal(err)
	}
	again := make([]jobs.Job, len(all))
	for i, e := range all {
		p.endsOnce(e.Job.ID)
		again[i] = e.Job
	}
	if _, err := client.EnqueueBatch(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	p.until("all copies are gone", func() bool { return p.messages() == 0 })
	for _, j := range again {
		p.endsOnce(j.ID)
	}
	var events struct{ Events []api.Event }
	p.api("/api/v1/events?kind=conflict", &events)
	if len(events.Events) > 0 {
		t.Errorf("copies are conflicts: %+v", events.Events)
	}
}

// TestPoolServersAreAddedAndRemoved replaces all servers of a pool under load, as
// docs/operations.md says: the nodes are restarted one by one.
func TestPoolServersAreAddedAndRemoved(t *testing.T) {
	t.Parallel()
	servers, setting := severalServers(t, 2)
	added := queuetest.Start(t)
	p := newNode(t, setting)
	q := p.beside("n2")
	nodes := []*process{p, q}
	change := func(to string) {
		t.Helper()
		for _, n := range nodes {
			n.env = append(n.env, "RUNNERBEAN_BEANSTALKD="+to)
			if n.cmd != nil {
				n.end(syscall.SIGTERM)
			}
			n.start("worker")
		}
	}
	change(setting)
	var load sync.WaitGroup
	var ids []string
	ctx, stop := context.WithCancel(t.Context())
	put := func(to string) (stopped func()) {
		client := p.clientOf(to, 1)
		running, end := context.WithCancel(ctx)
		load.Go(func() {
			for running.Err() == nil {
				all, err := client.EnqueueBatch(t.Context(), echoes(5))
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range all {
					ids = append(ids, e.Job.ID)
				}
				time.Sleep(10 * time.Millisecond) // between jobs of the load
			}
		})
		return func() { end(); load.Wait() }
	}
	defer stop()
	stopped := put(setting)
	change(setting + "," + added.Addr)
	stopped()
	stopped = put(added.Addr)
	p.until("the old servers are empty", func() bool {
		var o api.Overview
		p.api("/api/v1/overview", &o)
		n := int64(0)
		for _, s := range o.Servers {
			if s.Addr != added.Addr {
				n += s.Inbox
			}
		}
		return n == 0 && len(o.Servers) == 3
	})
	change(added.Addr)
	for _, s := range servers {
		s.Kill()
		s.Wipe()
	}
	stopped()
	if len(ids) == 0 {
		t.Fatal("no load")
	}
	for _, id := range ids {
		if r := p.final(p.url + "/" + id); r.State != jobs.Succeeded {
			t.Errorf("job %s: %s", id, r.State)
		}
	}
}
