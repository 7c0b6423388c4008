package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/jobs"
)

// writeUntilKilled takes jobs through the ledger until it is killed. It prints each step
// after its answer.
func writeUntilKilled(path string) {
	ctx := context.Background()
	l, err := Open(ctx, Config{DSN: "sqlite:" + path})
	if err != nil {
		panic(err)
	}
	if err := l.Nodes.Register(ctx, nodes.Node{Name: "n1", Instance: "i1"}); err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				writeOne(ctx, l)
			}
		})
	}
	wg.Wait()
}

func writeOne(ctx context.Context, l *Ledger) {
	e := entry(nil)
	id := e.Job.ID
	say := func(step string, err error) {
		if err != nil {
			panic(err)
		}
		// One write per line: the parent reads only answered steps.
		_, _ = os.Stdout.WriteString(step + " " + id + "\n")
	}
	_, err := l.Accept(ctx, []Entry{e})
	say("queued", err)
	c, err := l.Claim(ctx, id, Owner{Instance: "i1", Node: "n1"}, "")
	say("running", err)
	_, err = l.Finish(ctx, id, c.Record.Attempt, ending(jobs.Succeeded, jobs.OutcomeSucceeded))
	say("succeeded", err)
}

func TestKilledWhileWriting(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	d.must(d.Ledger.Close())
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+d.path)
	out, err := cmd.StdoutPipe()
	d.must(err)
	d.must(cmd.Start())
	acknowledged := map[string]jobs.State{}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if state, id, ok := strings.Cut(lines.Text(), " "); ok && len(id) == 36 {
			acknowledged[id] = jobs.State(state)
		}
		if n == 400 {
			d.must(cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("it was not killed")
	}
	d.Ledger = d.open()
	rank := map[jobs.State]int{jobs.Queued: 1, jobs.Running: 2, jobs.Succeeded: 3}
	for id, state := range acknowledged {
		if r := d.record(id); rank[r.State] < rank[state] {
			t.Errorf("%s was acknowledged as %s and is %s", id, state, r.State)
		}
	}
	if len(acknowledged) < 100 {
		t.Errorf("only %d jobs", len(acknowledged))
	}
	d.recount()
	d.sound()
}

// sound lets SQLite check the file.
func (d *fixture) sound() {
	d.t.Helper()
	var verdict string
	d.must(sqlDB(d.Ledger).QueryRow("PRAGMA integrity_check").Scan(&verdict))
	if verdict != "ok" {
		d.t.Errorf("integrity check: %s", verdict)
	}
}

func TestTwoProcessesOnOneFile(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashEnv+"="+d.path)
	out, err := cmd.StdoutPipe()
	d.must(err)
	d.must(cmd.Start())
	lines := bufio.NewScanner(out)
	for i := range 100 {
		id := d.add(func(j *jobs.Job) { j.Labels = map[string]string{"n": strconv.Itoa(i)} })
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
		if lines.Scan() {
			if _, other, ok := strings.Cut(lines.Text(), " "); ok {
				d.record(other) // what the other has acknowledged is seen here
			}
		}
	}
	d.must(cmd.Process.Kill())
	for lines.Scan() { // let it end
	}
	_ = cmd.Wait()
	d.recount()
	d.sound()
}

func TestTwoHandlesOnOneFile(t *testing.T) {
	t.Parallel()
	d := newFileFixture(t)
	other := &fixture{Ledger: d.open(), t: t, clock: d.clock, path: d.path, dsn: d.dsn}
	t.Cleanup(func() { _ = other.Ledger.Close() })
	var wg sync.WaitGroup
	for _, one := range []*fixture{d, other} {
		for range 4 {
			wg.Go(func() {
				for range 10 {
					if err := takeOne(t.Context(), one.Ledger); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	d.recount()
	other.recount()
	if n, err := other.Activity.Counts(t.Context()); err != nil || n[jobs.Succeeded] != 80 {
		t.Error(n, err)
	}
}

func takeOne(ctx context.Context, l *Ledger) error {
	e := entry(nil)
	if _, err := l.Accept(ctx, []Entry{e}); err != nil {
		return err
	}
	if err := l.MarkSent(ctx, []Sent{{ID: e.Job.ID, Server: "s"}}); err != nil {
		return err
	}
	c, err := l.Claim(ctx, e.Job.ID, Owner{Instance: "i1", Node: "n1"}, "")
	if err != nil || !c.OK {
		return fmt.Errorf("claim: %+v, %w", c, err)
	}
	_, err = l.Finish(ctx, e.Job.ID, c.Record.Attempt, ending(jobs.Succeeded, jobs.OutcomeSucceeded))
	return err
}
