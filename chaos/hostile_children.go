package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

// outcomes are the expected ends: a state or an error class. A program that is
// not listed succeeds.
var outcomes = map[string][]string{
	"deaf": {"timeout"}, "asleep": {"timeout"}, "flood-out": {"error"}, "code": {"error", "failed"},
	"signal": {"killed"}, "garbage": {"error"}, "two-values": {"error"}, "silent": {"error"},
	"hog": {"killed", "error"}, "hung": {"stalled"}, "fill": {"error", "killed"},
}

// manifests are the contents of program.json by program.
var manifests = map[string]string{
	"hostile": `{"timeout":"20s","attempts":1}`,
	"hog":     `{"timeout":"20s","attempts":1,"memory":"256MiB"}`,
	"hung":    `{"timeout":"20s","attempts":1,"stall":"1s"}`,
	"fill":    `{"timeout":"20s","attempts":1,"scratch":"8MiB"}`,
}

// hostileRun is a node with hostile programs, and what was seen of them.
type hostileRun struct {
	bed  *testbed.Testbed
	node *testbed.Node
	exe  string // executable of the programs, by which their processes are found

	mu      sync.Mutex
	modes   map[string]string    // by job
	ended   map[string]time.Time // time when a job was first seen to have ended
	late    map[string]bool      // processes that were alive 2 s later
	wrong   int
	perMode map[string]int
}

func hostileChildren(ctx context.Context, bed *testbed.Testbed) error {
	c, err := newHostileRun(ctx, bed)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); c.watch(watching) }()
	c.send(ctx, testbed.Pick(bed, 1000, 42))
	if !testbed.Sleep(ctx, 3*time.Second) {
		stop()
		<-watched
		return ctx.Err()
	}
	stop()
	<-watched
	return c.report()
}

func newHostileRun(ctx context.Context, bed *testbed.Testbed) (*hostileRun, error) {
	b, err := bed.NewServer("beanstalkd")
	if err != nil {
		return nil, err
	}
	if err := b.Up(ctx); err != nil {
		return nil, err
	}
	c := &hostileRun{
		bed: bed, modes: map[string]string{}, ended: map[string]time.Time{},
		late: map[string]bool{}, perMode: map[string]int{},
	}
	folder, err := c.install()
	if err != nil {
		return nil, err
	}
	c.node, err = bed.NewNode("node1", testbed.Shared{Beanstalkd: b.Addr, Programs: folder}, 6, nil)
	if err != nil {
		return nil, err
	}
	return c, c.node.Up(ctx)
}

// install copies this binary to a path of its own, so that a process without an
// environment is found by its executable.
func (c *hostileRun) install() (string, error) {
	var err error
	if c.exe, err = c.bed.CopySelf("hostile-child"); err != nil {
		return "", err
	}
	programs, err := c.bed.Folder("programs")
	for name, manifest := range manifests {
		folder, folderErr := c.bed.Folder(filepath.Join("programs", name))
		if folderErr != nil {
			return "", folderErr
		}
		if err := testbed.WriteProgram(filepath.Join(folder, "run"), "exec '"+c.exe+"'"); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, "program.json"), []byte(manifest), 0o644); err != nil {
			return "", err
		}
	}
	return programs, err
}

// send submits jobs, somewhat more at a time than slots, and returns when all
// have ended.
func (c *hostileRun) send(ctx context.Context, n int) {
	rng := c.bed.Random("modes")
	list := make(chan *testbed.Job)
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() {
			for j := range list {
				c.runJob(ctx, j)
			}
		})
	}
	for i := range n {
		mode := modes[i%len(modes)]
		if i >= len(modes) {
			mode = modes[rng.IntN(len(modes))]
		}
		list <- c.job(rng, mode)
	}
	close(list)
	wait.Wait()
}

func (c *hostileRun) job(rng *rand.Rand, mode string) *testbed.Job {
	program := "hostile"
	if _, ok := manifests[mode]; ok {
		program = mode
	}
	var more map[string]any
	if mode == "deaf" || mode == "asleep" {
		more = map[string]any{"timeout": "1s"}
	}
	j := c.bed.NewJob(rng, program, hostileTask{Mode: mode, N: rng.IntN(1 << 16)}, more)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modes[j.ID] = mode
	c.perMode[mode]++
	return j
}

// runJob submits a job and checks how it ends.
func (c *hostileRun) runJob(ctx context.Context, j *testbed.Job) {
	if status := c.bed.Submit(ctx, c.node, j); status != http.StatusCreated {
		return
	}
	for testbed.Sleep(ctx, 20*time.Millisecond) {
		s := c.bed.GetResult(ctx, c.node, j, true)
		if !s.Final() {
			continue
		}
		c.mu.Lock()
		c.ended[j.ID] = time.Now()
		c.mu.Unlock()
		c.checkOutcome(ctx, j, s.State)
		return
	}
}

func (c *hostileRun) checkOutcome(ctx context.Context, j *testbed.Job, state string) {
	class := state
	if state != "succeeded" {
		class = c.class(ctx, j)
	}
	want, ok := outcomes[c.modes[j.ID]]
	if !ok {
		want = []string{"succeeded"}
	}
	if slices.Contains(want, class) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong++
	c.bed.History.Logf("%s: %s ended as %q, want one of %v", j.ID, c.modes[j.ID], class, want)
}

// class returns the error class of the last attempt.
func (c *hostileRun) class(ctx context.Context, j *testbed.Job) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.node.Addr+"/"+j.ID, nil)
	if err != nil {
		return err.Error()
	}
	_, body := testbed.Do(req)
	var document struct {
		Error struct{ Class, Message string }
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return err.Error()
	}
	return document.Error.Class
}

// watch looks for processes whose jobs have ended.
func (c *hostileRun) watch(ctx context.Context) {
	for testbed.Sleep(ctx, 200*time.Millisecond) {
		now := time.Now()
		for pid, line := range c.children() {
			c.mu.Lock()
			for id, at := range c.ended {
				if key := pid + " " + id; strings.Contains(line, id) && now.Sub(at) > 2*time.Second && !c.late[key] {
					c.late[key] = true
					c.bed.History.Logf("process %s is alive %v after the end of %s (%s): %s", pid, now.Sub(at), id, c.modes[id], line)
				}
			}
			c.mu.Unlock()
		}
	}
}

// children returns the living processes of the executable by process id. The
// text is the command line, which names the job.
func (c *hostileRun) children() map[string]string {
	found := map[string]string{}
	for _, pid := range testbed.ProcessesOf(c.exe) {
		folder := filepath.Join("/proc", strconv.Itoa(pid))
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(folder, "environ"))
		_, id, _ := strings.Cut(string(env), "RUNNERBEAN_JOB_ID=")
		id, _, _ = strings.Cut(id, "\x00")
		found[filepath.Base(folder)] = strings.ReplaceAll(string(line), "\x00", " ") + id
	}
	return found
}

// leftFiles returns what is in scratch beside empty working folders, which are
// reused.
func (c *hostileRun) leftFiles() []string {
	root := filepath.Join(c.node.Data, "scratch")
	return slices.DeleteFunc(below(root, 2), func(path string) bool {
		words := strings.Split(strings.TrimPrefix(path, root+"/"), "/")
		return len(words) == 2 || len(words) == 3 && slices.Contains([]string{"inputs", "out", "checkpoint", "tmp"}, words[2])
	})
}

func (c *hostileRun) report() error {
	usage, err := testbed.ReadUsage(c.node.Process.PID())
	if err != nil {
		return err
	}
	for _, line := range c.children() {
		c.bed.History.Logf("left: %s", line)
	}
	c.bed.History.Logf("children by kind: %v", c.perMode)
	c.bed.History.Measure("processes alive 2 s after the end of their job", float64(len(c.late)), 0)
	c.bed.History.Measure("processes left at the end", float64(len(c.children())), 0)
	c.bed.History.Measure("zombies of the node", float64(testbed.Zombies(c.node.Process.PID())), 0)
	c.bed.History.Measure("children whose end was taken for another", float64(c.wrong), 0)
	c.bed.History.Measure("most memory of the node, in MB", round(float64(usage.Peak)/1e6), 150)
	c.bed.History.Measure("files and folders left in scratch", float64(len(c.leftFiles())), 0)
	return nil
}
