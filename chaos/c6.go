package main

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

func init() {
	register(scenario{
		name: "c6", title: "hostile children: they run off, will not end, flood, fill, multiply",
		run: hostility,
	})
}

// classes are the ends that a hostile child may come to: a state, or the class
// of its error. What is not listed here succeeds.
var classes = map[string][]string{
	"deaf": {"timeout"}, "asleep": {"timeout"}, "flood-out": {"error"}, "code": {"error", "failed"},
	"signal": {"killed"}, "garbage": {"error"}, "two-values": {"error"}, "silent": {"error"},
	"hog": {"killed", "error"}, "hung": {"stalled"}, "fill": {"error", "killed"},
}

// manifests are what there is in program.json beside the programs' executables.
var manifests = map[string]string{
	"hostile": `{"timeout":"20s","attempts":1}`,
	"hog":     `{"timeout":"20s","attempts":1,"memory":"256MiB"}`,
	"hung":    `{"timeout":"20s","attempts":1,"stall":"1s"}`,
	"fill":    `{"timeout":"20s","attempts":1,"scratch":"8MiB"}`,
}

// crowd are hostile children and what is seen of them.
type crowd struct {
	rig  *rig
	node *node
	exe  string // the children's executable, by which they are known whatever they do

	mu      sync.Mutex
	modes   map[string]string    // by job
	ended   map[string]time.Time // when a job was first seen to have ended
	late    map[string]bool      // processes that were alive 2 s after that
	wrong   int
	perMode map[string]int
}

func hostility(ctx context.Context, r *rig) error {
	c, err := r.crowd(ctx)
	if err != nil {
		return err
	}
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { defer close(watched); c.watch(watching) }()
	c.send(ctx, pick(r, 1000, 42))
	if !sleep(ctx, 3*time.Second) {
		stop()
		<-watched
		return ctx.Err()
	}
	stop()
	<-watched
	return c.report()
}

func (r *rig) crowd(ctx context.Context) (*crowd, error) {
	b, err := r.beanstalkd("beanstalkd")
	if err != nil {
		return nil, err
	}
	if err := b.up(ctx); err != nil {
		return nil, err
	}
	c := &crowd{
		rig: r, exe: filepath.Join(r.dir, "hostile-child"), modes: map[string]string{}, ended: map[string]time.Time{},
		late: map[string]bool{}, perMode: map[string]int{},
	}
	folder, err := c.install()
	if err != nil {
		return nil, err
	}
	c.node, err = r.node("node1", place{beanstalkd: b.addr, programs: folder}, 6, nil)
	if err != nil {
		return nil, err
	}
	return c, c.node.up(ctx)
}

// install copies the rig's binary to where nothing else runs from: a process
// whose environment is gone can still be told by its executable.
func (c *crowd) install() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(self)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(c.exe, text, 0o755); err != nil {
		return "", err
	}
	programs, err := c.rig.folder("programs")
	for name, manifest := range manifests {
		folder, folderErr := c.rig.folder(filepath.Join("programs", name))
		if folderErr != nil {
			return "", folderErr
		}
		if err := writeProgram(filepath.Join(folder, "run"), "exec '"+c.exe+"'"); err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(folder, "program.json"), []byte(manifest), 0o644); err != nil {
			return "", err
		}
	}
	return programs, err
}

// writeProgram makes a program of one line.
func writeProgram(path, line string) error {
	return os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\n"), 0o755)
}

// send submits jobs, a few more at a time than run, and returns when all have ended.
func (c *crowd) send(ctx context.Context, n int) {
	chance := c.rig.random("modes")
	list := make(chan *job)
	var wait sync.WaitGroup
	for range 12 {
		wait.Go(func() {
			for j := range list {
				c.one(ctx, j)
			}
		})
	}
	for i := range n {
		mode := modes[i%len(modes)]
		if i >= len(modes) {
			mode = modes[chance.IntN(len(modes))]
		}
		list <- c.job(chance, mode)
	}
	close(list)
	wait.Wait()
}

func (c *crowd) job(chance *rand.Rand, mode string) *job {
	program := "hostile"
	if _, ok := manifests[mode]; ok {
		program = mode
	}
	var more map[string]any
	if mode == "deaf" || mode == "asleep" {
		more = map[string]any{"timeout": "1s"}
	}
	j := c.rig.jobOf(chance, program, hostileTask{Mode: mode, N: chance.IntN(1 << 16)}, more)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.modes[j.id] = mode
	c.perMode[mode]++
	return j
}

// one takes a job to its end and looks at what that is.
func (c *crowd) one(ctx context.Context, j *job) {
	if status := c.rig.post(ctx, c.node, j); status != http.StatusCreated {
		return
	}
	for sleep(ctx, 20*time.Millisecond) {
		s := c.rig.get(ctx, c.node, j, true)
		if !s.final() {
			continue
		}
		c.mu.Lock()
		c.ended[j.id] = time.Now()
		c.mu.Unlock()
		c.judge(ctx, j, s.state)
		return
	}
}

func (c *crowd) judge(ctx context.Context, j *job, state string) {
	class := state
	if state != "succeeded" {
		class = c.class(ctx, j)
	}
	want, ok := classes[c.modes[j.id]]
	if !ok {
		want = []string{"succeeded"}
	}
	if slices.Contains(want, class) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wrong++
	c.rig.say("%s: %s ended as %q, want one of %v", j.id, c.modes[j.id], class, want)
}

// class is how the last attempt of a job ended.
func (c *crowd) class(ctx context.Context, j *job) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.node.addr+"/"+j.id, nil)
	if err != nil {
		return err.Error()
	}
	_, body := answer(req)
	var document struct {
		Error struct{ Class, Message string }
	}
	if err := json.Unmarshal(body, &document); err != nil {
		return err.Error()
	}
	return document.Error.Class
}

// watch looks for processes whose jobs have ended.
func (c *crowd) watch(ctx context.Context) {
	for sleep(ctx, 200*time.Millisecond) {
		now := time.Now()
		for pid, line := range c.children() {
			c.mu.Lock()
			for id, at := range c.ended {
				if key := pid + " " + id; strings.Contains(line, id) && now.Sub(at) > 2*time.Second && !c.late[key] {
					c.late[key] = true
					c.rig.say("process %s is alive %v after the end of %s (%s): %s", pid, now.Sub(at), id, c.modes[id], line)
				}
			}
			c.mu.Unlock()
		}
	}
}

// children are the living processes of the children's executable: their command
// lines, which name their jobs, by process id.
func (c *crowd) children() map[string]string {
	found := map[string]string{}
	links, _ := filepath.Glob("/proc/[0-9]*/exe")
	for _, link := range links {
		if exe, err := os.Readlink(link); err != nil || exe != c.exe {
			continue
		}
		folder := filepath.Dir(link)
		line, _ := os.ReadFile(filepath.Join(folder, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(folder, "environ"))
		_, id, _ := strings.Cut(string(env), "RUNNERBEAN_JOB_ID=")
		id, _, _ = strings.Cut(id, "\x00")
		found[filepath.Base(folder)] = strings.ReplaceAll(string(line), "\x00", " ") + id
	}
	return found
}

// rubbish is what is in scratch beside empty working folders, which serve again.
func (c *crowd) rubbish() []string {
	root := filepath.Join(c.node.data, "scratch")
	return slices.DeleteFunc(below(root, 2), func(path string) bool {
		words := strings.Split(strings.TrimPrefix(path, root+"/"), "/")
		return len(words) == 2 || len(words) == 3 && slices.Contains([]string{"inputs", "out", "checkpoint", "tmp"}, words[2])
	})
}

func (c *crowd) report() error {
	usage, err := usageOf(c.node.pid())
	if err != nil {
		return err
	}
	for _, line := range c.children() {
		c.rig.say("left: %s", line)
	}
	c.rig.say("children by kind: %v", c.perMode)
	c.rig.measure("processes alive 2 s after the end of their job", float64(len(c.late)), 0)
	c.rig.measure("processes left at the end", float64(len(c.children())), 0)
	c.rig.measure("zombies of the node", float64(zombies(c.node.pid())), 0)
	c.rig.measure("children whose end was taken for another", float64(c.wrong), 0)
	c.rig.measure("most memory of the node, in MB", round(float64(usage.peak)/1e6), 150)
	c.rig.measure("files and folders left in scratch", float64(len(c.rubbish())), 0)
	return nil
}
