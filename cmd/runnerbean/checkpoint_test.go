package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
	"github.com/runnerbean/runnerbean/jobs"
)

// installSaver installs a program that saves on request. It ends once the file gate exists, with
// whether it has begun from a checkpoint.
func (p *process) installSaver(gate string) {
	p.installFile("saver/program.json", `{"checkpoint":"SIGUSR2"}`)
	p.installFile("saver/run", `#!/bin/sh
n=0; trap 'n=$((n + 1)); echo $n >tmp/n; mv tmp/n checkpoint/n; echo "{\"checkpoint\":true}" >&3' USR2
echo '{"message":"holding on"}' >&3
while [ ! -e `+gate+` ]; do sleep 0.01; done; [ -e checkpoint/n ] && echo true || echo false`)
}

// TestCheckpointFromTheCommandLine asks a program for checkpoints, at the node that runs it and at
// another one, and drains its node: the job goes on from there at the other.
func TestCheckpointFromTheCommandLine(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	gate := filepath.Join(p.folder, "gate")
	p.installSaver(gate)
	p.start("worker")
	url := p.submit("saver", "1")
	id := idOf(url)
	p.until("it runs", func() bool { r, _ := p.get(url); return r.Message == "holding on" })
	other := p.beside("n2")
	other.installSaver(gate)
	other.start("worker")
	for n, node := range []*process{p, other} {
		p.until("the verb is allowed", func() bool { return slices.Contains(p.details(id).Allowed, "checkpoint") })
		node.expect(0, id+" is asked for a checkpoint", "checkpoint", id)
		p.until("a checkpoint is kept", func() bool {
			d := node.details(id)
			return len(d.Checkpoints) == n+1 && d.CheckpointAsked == nil
		})
	}
	p.expect(0, "of attempt 1, ", "show", id)
	p.expect(0, "1 job asked for a checkpoint", "checkpoint", "--program", "saver", "--yes")
	p.expect(0, "", "drain", "n1")
	p.until("the other node has it", func() bool { r, _ := p.get(url); return r.Node == "n2" })
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := p.final(url); r.State != jobs.Succeeded || string(r.Result) != "true" || r.Attempt != 2 {
		t.Errorf("%s in attempt %d: %s", r.State, r.Attempt, r.Result)
	}
	d := p.details(id)
	if d.Attempts[0].Outcome != jobs.OutcomeInterrupted {
		t.Errorf("%+v", d.Attempts[0])
	}
	asked := 0
	for _, e := range d.Events {
		if e.Kind == eventlog.KindCheckpointAsked {
			asked++
		}
	}
	if asked != 3 {
		t.Errorf("%d events", asked)
	}
}
