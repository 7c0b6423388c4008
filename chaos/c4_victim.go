package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

func init() { programs["gated"] = gated }

// gatedTask is the input of the program "gated".
type gatedTask struct {
	task
	Gate string `json:"gate"` // a FIFO; the program goes on when it is there no more, or its other end is closed
}

// gated waits for its gate, leaves something of every kind and works.
func gated(c call) int {
	var t gatedTask
	if err := json.Unmarshal(c.input, &t); err != nil {
		return 65
	}
	if f, err := os.Open(t.Gate); err == nil {
		_, _ = io.Copy(io.Discard, f)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 75
	}
	fmt.Fprintln(os.Stderr, "through the gate")
	_, err := os.NewFile(3, "events").WriteString(`{"progress":1,"message":"done"}` + "\n")
	if err != nil || os.WriteFile("out/part.txt", []byte(strings.Repeat(c.id, 300)), 0o644) != nil {
		return 75
	}
	return work(c)
}

// victim is a node that is killed and failed, and a second one over the same
// ledger and store, through which its results are read all the time.
type victim struct {
	rig    *rig
	node   *node
	reader *node
	at     place
	chance *rand.Rand
	count  int
	known  map[string]bool // ids of jobs that have succeeded
}

func (r *rig) victim(ctx context.Context, name, folder string) (*victim, error) {
	b, err := r.beanstalkd("beanstalkd-" + name)
	if err != nil {
		return nil, err
	}
	if err := b.up(ctx); err != nil {
		return nil, err
	}
	home, err := r.folder("shared-" + name)
	if err != nil {
		return nil, err
	}
	at := place{beanstalkd: b.addr, programs: folder, ledger: filepath.Join(home, "ledger.db"), store: filepath.Join(home, "store")}
	v := &victim{rig: r, at: at, chance: r.random(name), known: map[string]bool{}}
	if v.node, err = r.node(name, at, 1, nil); err != nil {
		return nil, err
	}
	// strace counts by threads. With processors to spare a goroutine stays on its
	// thread after a slow call.
	v.node.env = append(v.node.env, "GOMAXPROCS=16")
	if v.reader, err = r.node(name+"-reader", at, 0, nil); err != nil {
		return nil, err
	}
	return v, errors.Join(v.node.up(ctx), v.reader.up(ctx))
}

// outcome is what there was to see after a harm.
type outcome struct {
	ended              bool
	took               time.Duration
	whole              bool // its result names the file that its program left
	leftovers, unsound int
}

// afterEnd is for what a node does when the end of a job can be seen already: it
// deletes the message and empties the scratch folder.
const afterEnd = 50 * time.Millisecond

// healthy lists the calls of a job that nothing happens to, the first one that a
// node runs.
func (v *victim) healthy(ctx context.Context) (way, error) {
	w := way{count: map[string]int{}}
	calls, err := v.unharmed(ctx, "%file,%desc")
	of := map[string]int{} // by thread and name
	for _, c := range calls {
		if what, ok := v.what(c); ok {
			w.calls = append(w.calls, what)
			of[c.thread+c.name]++
			w.count[c.name] = max(w.count[c.name], of[c.thread+c.name])
		}
	}
	if err == nil && len(w.calls) < 20 {
		err = fmt.Errorf("only %d calls of a healthy job were seen", len(w.calls))
	}
	return w, err
}

// observe starts the node again and lists which of the calls of one name comes
// at which place in its thread.
func (v *victim) observe(ctx context.Context, name string) (map[string]int, error) {
	v.node.term(10 * time.Second)
	if err := v.revive(ctx); err != nil {
		return nil, err
	}
	calls, err := v.unharmed(ctx, name)
	of, at := map[string]int{}, map[string]int{}
	for _, c := range calls {
		of[c.thread]++
		if what, ok := v.what(c); ok {
			at[what] = of[c.thread]
		}
	}
	return at, err
}

// unharmed traces a job that nothing happens to.
func (v *victim) unharmed(ctx context.Context, names string) ([]traced, error) {
	j, open, err := v.atGate(ctx)
	if err != nil {
		return nil, err
	}
	trace, err := v.rig.trace(ctx, v.node.pid(), names, "")
	if err != nil {
		return nil, err
	}
	open()
	if v.known[j.id] = v.follow(ctx, j, trace); !v.known[j.id] {
		return nil, errors.New("a healthy job did not succeed")
	}
	sleep(ctx, afterEnd)
	return trace.end()
}

// atGate posts a job and returns when its program waits; open lets it go on.
func (v *victim) atGate(ctx context.Context) (j *job, open func(), err error) {
	j, gate := v.job(v.chance)
	if err := syscall.Mkfifo(gate, 0o600); err != nil {
		return nil, nil, err
	}
	if status := v.rig.post(ctx, v.reader, j); status != http.StatusCreated {
		return nil, nil, fmt.Errorf("the job was answered with status %d", status)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var writer *os.File
	err = until(ctx, 2*time.Millisecond, "the program waits at its gate", func() bool {
		// Without a reader at the other end this fails.
		writer, err = os.OpenFile(gate, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil
	})
	return j, func() { _ = os.Remove(gate); _ = writer.Close() }, err
}

// suffer does one harm to one job and looks at what comes of it.
func (v *victim) suffer(ctx context.Context, h harm, hits *hits) error {
	j, open, err := v.atGate(ctx)
	if err != nil {
		return err
	}
	trace, err := v.rig.trace(ctx, v.node.pid(), h.call, h.String())
	if err != nil {
		return err
	}
	v.rig.say("%s: %s on %s", j.id, h, v.node.name)
	if h.kills() {
		v.doomed()
	}
	began := time.Now()
	open()
	ended := v.follow(ctx, j, trace)
	o := outcome{ended: ended, took: time.Since(began)}
	sleep(ctx, afterEnd)
	calls, err := trace.end()
	if err != nil {
		return err
	}
	if err := v.settle(ctx, trace.killed); err != nil {
		return err
	}
	ended = ended && v.rig.get(ctx, v.node, j, false).state == "succeeded"
	v.known[j.id] = ended
	o.whole = v.whole(j.id)
	v.examine(ctx, &o, trace.killed != 0)
	if !o.ended || !o.whole || o.took > patience/2 {
		v.rig.say("%s after %s at %v: ended %t, whole %t, after %v", j.id, h, v.hit(h, calls), o.ended, o.whole, o.took)
	}
	hits.add(h, v.hit(h, calls), o)
	return ctx.Err()
}

// follow reads the result URL all the time, until the job has ended. A node that
// dies is started again. Each thread counts its calls for itself, so the tracer
// has to go when the first error was injected.
func (v *victim) follow(ctx context.Context, j *job, trace *tracer) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if !v.node.alive() {
			if err := v.revive(ctx); err != nil {
				v.rig.say("%v", err)
				return false
			}
		}
		if s := v.rig.get(ctx, v.reader, j, true); s.final() {
			return s.state == "succeeded"
		}
		if trace.hit() {
			trace.release()
		}
		if !sleep(ctx, 4*time.Millisecond) {
			return false
		}
	}
	return false
}

// revive starts the node again.
func (v *victim) revive(ctx context.Context) error {
	err := v.node.up(ctx)
	if err == nil && !v.node.alive() {
		err = fmt.Errorf("%s does not start again; see %s", v.node.name, v.node.log())
	}
	return err
}

// settle sees to it that the node runs, and that it is known not to be doomed.
func (v *victim) settle(ctx context.Context, killed int) error {
	// The tracer may have been let go before it could tell.
	if killed == v.node.pid() || v.node.alive() && !v.node.answers(ctx) {
		if err := until(ctx, time.Millisecond, "the node is dead", func() bool { return !v.node.alive() }); err != nil {
			return err
		}
	}
	if !v.node.alive() {
		return v.revive(ctx)
	}
	v.node.mu.Lock()
	defer v.node.mu.Unlock()
	if v.node.asked {
		v.node.asked = false
		v.rig.note(check.Event{What: check.Up, Who: v.node.name, Text: "it was spared"})
	}
	return nil
}

// doomed says that the node will be killed, by strace.
func (v *victim) doomed() {
	v.node.mu.Lock()
	v.node.asked = true
	v.node.mu.Unlock()
	v.rig.note(check.Event{What: check.Kill, Who: v.node.name, Text: "at a system call"})
}

// hit lists what was hit.
func (v *victim) hit(h harm, calls []traced) (list []string) {
	for _, c := range calls {
		if h.kills() && c.result == "?" || !h.kills() && strings.Contains(c.result, "(INJECTED)") {
			what, _ := v.what(c)
			list = append(list, what)
		}
	}
	return list
}

// restarted looks at what is left when the node has started once more.
func (v *victim) restarted(ctx context.Context) (o outcome, err error) {
	v.node.term(10 * time.Second)
	if err := v.node.up(ctx); err != nil {
		return o, err
	}
	v.examine(ctx, &o, true)
	return o, nil
}
