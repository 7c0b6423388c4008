// Package firstyear has the scenarios of the first year of a pool of nodes: upgrades,
// deletions, backups, and a whole year with a clock that is moved.
package firstyear

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// OldCommits are versions from before nodes knew of upgrades. The first release may have
// to upgrade from them.
const (
	OldCommit   = "3ea2163"
	OlderCommit = "01e0af4"
)

// BuildOld and BuildOlder build the programs of these commits.
func BuildOld(ctx context.Context, b *testbed.Builds) (string, error) { return b.Old(ctx, OldCommit) }

func BuildOlder(ctx context.Context, b *testbed.Builds) (string, error) {
	return b.Old(ctx, OlderCommit)
}

// pool is two nodes with one ledger, one store and one beanstalkd.
type pool struct {
	bed        *testbed.Testbed
	beanstalkd *testbed.Server
	at         testbed.Shared
	nodes      []*testbed.Node
	poll       *testbed.Poller
	clock      *testbed.Clock // nil: the true time
	offset     time.Duration  // of the clock
	schema     int            // how many later migrations the programs know
	keep       time.Duration  // RUNNERBEAN_KEEP; 0: for ever
}

// newPool returns a pool that is not started, with the ledger and the store in a folder.
func newPool(bed *testbed.Testbed, name, folder string, settings map[string]string) (*pool, error) {
	programs, err := bed.InstallPrograms("work")
	if err != nil {
		return nil, err
	}
	p := &pool{bed: bed}
	if p.beanstalkd, err = bed.NewServer("beanstalkd" + name); err != nil {
		return nil, err
	}
	// The speed of the disk should not count.
	args := p.beanstalkd.Process.Args
	args[slices.Index(args, "-f0")] = "-F"
	p.at = testbed.Shared{
		Beanstalkd: p.beanstalkd.Addr, Programs: programs,
		Ledger: filepath.Join(folder, "ledger.db"), Store: filepath.Join(folder, "store"),
	}
	for i := range 2 {
		n, err := bed.NewNode("node"+strconv.Itoa(i+1)+name, p.at, 2, settings)
		if err != nil {
			return nil, err
		}
		p.nodes = append(p.nodes, n)
	}
	return p, nil
}

// moveable gives all processes a clock that move moves.
func (p *pool) moveable() error {
	c, err := p.bed.NewClock(check.Everybody)
	if err != nil {
		return err
	}
	p.clock = c
	env, err := c.FaketimeEnv()
	if err != nil {
		return err
	}
	p.beanstalkd.Process.Env = append(p.beanstalkd.Process.Env, env...)
	for _, n := range p.nodes {
		n.Process.Setenv(c.Variables())
	}
	return nil
}

// move moves the clock of all processes forward, and waits until they have followed.
func (p *pool) move(ctx context.Context, by time.Duration) error {
	p.offset += by
	if err := p.clock.Move(p.offset); err != nil {
		return err
	}
	for _, n := range p.nodes {
		if !n.Process.Alive() {
			continue
		}
		if err := n.AwaitClock(ctx, p.offset); err != nil {
			return err
		}
	}
	p.bed.History.Note(check.Event{What: check.ClockSeen, Who: check.Everybody, N: p.offset.Seconds()})
	return nil
}

// use sets the program that a node is started with, and its number of later migrations.
func (p *pool) use(n *testbed.Node, path string, schema int) {
	n.Process.Use(path)
	n.Process.Setenv(map[string]string{testbed.SchemaVariable: strconv.Itoa(schema)})
}

// start starts everything with one program.
func (p *pool) start(ctx context.Context, path string) error {
	if err := p.beanstalkd.Up(ctx); err != nil {
		return err
	}
	for _, n := range p.nodes {
		p.use(n, path, 0)
		if err := up(ctx, n); err != nil {
			return err
		}
	}
	p.poll = p.bed.StartPolling(ctx, 2, 10*time.Millisecond, p.nodes...)
	return nil
}

// load returns what submits jobs by HTTP and through the inbox.
func (p *pool) load() *testbed.Load {
	return &testbed.Load{Bed: p.bed, Poll: p.poll, Nodes: p.nodes, Inbox: p.beanstalkd.Addr}
}

// supervise starts nodes that have ended, as a service manager would.
func (p *pool) supervise(ctx context.Context) error {
	for _, n := range p.nodes {
		if n.Process.Alive() {
			continue
		}
		if err := up(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// up starts a node and demands that it answers.
func up(ctx context.Context, n *testbed.Node) error {
	if err := n.Up(ctx); err != nil {
		return err
	}
	if !n.Process.Alive() {
		return fmt.Errorf("%s has ended: see its log %s", n.Process.Name, n.Process.LogFile())
	}
	return nil
}

// restart kills both nodes and starts them again, so that they search for jobs to delete
// at once.
func (p *pool) restart(ctx context.Context) error {
	for _, n := range p.nodes {
		n.Process.Kill()
	}
	return p.supervise(ctx)
}

// works reports whether a job that is given to a node ends within the time.
func (p *pool) works(ctx context.Context, n *testbed.Node, within time.Duration) error {
	_, err := p.runOne(ctx, n, within)
	return err
}

// runOne gives a job to a node and waits for its end.
func (p *pool) runOne(ctx context.Context, n *testbed.Node, within time.Duration) (*testbed.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	j := p.bed.WorkJob(p.bed.Rand, "work", 0, 100)
	p.bed.History.Note(check.Event{What: check.Meant, Job: j.ID, N: p.keep.Seconds(), State: "succeeded"})
	p.load().Submit(ctx, []*testbed.Job{j}, 0)
	return j, testbed.Until(ctx, 50*time.Millisecond, "a job given to "+n.Process.Name+" ends", func() bool {
		return p.bed.GetResult(ctx, n, j, true).Final()
	})
}

// conclude waits for the end of all jobs and reads their results from every node.
func (p *pool) conclude(ctx context.Context, list []*testbed.Job, patience time.Duration) error {
	p.bed.History.Note(check.Event{What: check.Calm})
	if err := p.supervise(ctx); err != nil {
		return err
	}
	p.poll.AwaitEnds(ctx, patience)
	p.poll.Close()
	p.poll.ReadAll(ctx, list)
	wrong := testbed.Integrity(ctx, p.at.Ledger)
	damaged := 0.0
	if wrong != "" {
		damaged = 1
		p.bed.History.Logf("%s: %s", p.at.Ledger, wrong)
	}
	p.bed.History.Measure("ledgers that SQLite finds damaged", damaged, 0)
	return ctx.Err()
}

// command runs a command with the settings of a node and demands the exit code 0.
func (p *pool) command(ctx context.Context, n *testbed.Node, args ...string) (string, error) {
	output, code := n.Command(ctx, args...)
	if code != 0 {
		return output, fmt.Errorf("runnerbean %q: exit code %d: %.1000s", args, code, output)
	}
	return output, nil
}

// program installs a program in a folder of its own, with a description.
func (p *pool) program(name, description, line string) error {
	folder := filepath.Join(p.at.Programs, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "program.json"), []byte(description), 0o644); err != nil {
		return err
	}
	return testbed.WriteProgram(filepath.Join(folder, "run"), line)
}

func ready(ctx context.Context, n *testbed.Node) (int, string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.Addr+"/readyz", nil)
	if err != nil {
		return 0, err.Error()
	}
	status, body := testbed.Do(req)
	return status, string(body)
}

// within waits until yes returns true.
func (p *pool) within(ctx context.Context, most time.Duration, what string, yes func(context.Context) bool) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	return testbed.Until(ctx, 50*time.Millisecond, what, func() bool { return yes(ctx) })
}
