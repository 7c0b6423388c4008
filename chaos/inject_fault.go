package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

var (
	paths   = regexp.MustCompile(`<([^<>]+)>|"([^"]*)"`)
	changes = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[a-z2-7]{26}|\b[0-9a-f]{2}\b|lane-0[ab]|#?\d+( \(deleted\))?`)
	// withData matches calls whose strings are data.
	withData = regexp.MustCompile(`^(p?read|p?write|send|recv)`)
)

// describe describes a call in words that are the same for every job. It
// reports whether the call belongs to a job.
func (t *target) describe(c traced) (string, bool) {
	var words []string
	ours := false
	_, port := testbed.Split(t.at.Beanstalkd)
	home := filepath.Dir(t.at.Store)
	// An unfinished call has this text in place of its results.
	args := strings.ReplaceAll(c.args, "<unfinished ...>", "")
	for _, m := range paths.FindAllStringSubmatch(args, -1) {
		path := m[1] + m[2]
		if strings.Contains(path, ":"+port+"]") {
			ours, path = true, "beanstalkd"
		}
		for _, folder := range []string{home, filepath.Join(t.node.Data, "scratch")} {
			if rest, ok := strings.CutPrefix(path, folder); ok {
				ours, path = true, rest
			}
		}
		if path != t.bed.Dir { // every path is in the working folder
			words = append(words, changes.ReplaceAllString(path, "*"))
		}
		if withData.MatchString(c.name) {
			break
		}
	}
	return strings.Join(append([]string{c.name}, words...), " "), ours
}

// afterEnd is how long a node works after the end of a job can be seen: it
// deletes the message and empties the scratch folder.
const afterEnd = 50 * time.Millisecond

// traceHealthy returns the calls of a job without faults, one of the first of the
// node.
func (t *target) traceHealthy(ctx context.Context, large bool) (callTrace, error) {
	trace := callTrace{large: large, count: map[string]int{}}
	calls, err := t.traceOne(ctx, "%file,%desc", large)
	of := map[string]int{} // by thread and name
	for _, c := range calls {
		if what, ok := t.describe(c); ok {
			trace.calls = append(trace.calls, what)
			of[c.thread+c.name]++
			trace.count[c.name] = max(trace.count[c.name], of[c.thread+c.name])
		}
	}
	if err == nil && len(trace.calls) < 20 {
		err = fmt.Errorf("only %d calls of a healthy job were seen", len(trace.calls))
	}
	return trace, err
}

// observe restarts the node and returns the number that each kind of the call
// has in its thread.
func (t *target) observe(ctx context.Context, name string, large bool) (map[string]int, error) {
	t.node.Process.Terminate(10 * time.Second)
	if err := t.restart(ctx); err != nil {
		return nil, err
	}
	calls, err := t.traceOne(ctx, name, large)
	of, at := map[string]int{}, map[string]int{}
	for _, c := range calls {
		of[c.thread]++
		if what, ok := t.describe(c); ok {
			at[what] = of[c.thread]
		}
	}
	return at, err
}

// traceOne traces a job without faults.
func (t *target) traceOne(ctx context.Context, names string, large bool) ([]traced, error) {
	j, open, err := t.startGated(ctx, large)
	if err != nil {
		return nil, err
	}
	trace, err := startTrace(ctx, t.bed, t.node.Process.PID(), names, "")
	if err != nil {
		return nil, err
	}
	open()
	if !t.follow(ctx, j, trace) {
		return nil, errors.New("a healthy job did not succeed")
	}
	t.stored[j.ID] = large
	testbed.Sleep(ctx, afterEnd)
	return trace.end()
}

// inject causes one fault in one job and records the outcome.
func (t *target) inject(ctx context.Context, h fault, cov *coverage) error {
	j, open, err := t.startGated(ctx, h.large)
	if err != nil {
		return err
	}
	trace, err := startTrace(ctx, t.bed, t.node.Process.PID(), h.call, h.String())
	if err != nil {
		return err
	}
	t.bed.History.Logf("%s: %s on %s", j.ID, h, t.node.Process.Name)
	if h.kills() {
		t.expectKill()
	}
	began := time.Now()
	open()
	ended := t.follow(ctx, j, trace)
	o := outcome{ended: ended, took: time.Since(began)}
	testbed.Sleep(ctx, afterEnd)
	calls, err := trace.end()
	if err != nil {
		return err
	}
	if err := t.awaitNode(ctx, trace.killed); err != nil {
		return err
	}
	ended = ended && t.bed.GetResult(ctx, t.node, j, false).State == "succeeded"
	t.stored[j.ID] = ended && h.large
	o.complete = t.hasFile(ctx, j)
	t.checkFiles(ctx, &o, trace.killed != 0)
	if !o.ended || !o.complete || o.took > patience/2 {
		t.bed.History.Logf("%s after %s at %v: ended %t, whole %t, after %v", j.ID, h, t.injected(h, calls), o.ended, o.complete, o.took)
	}
	cov.add(h, t.injected(h, calls), o)
	return ctx.Err()
}

// injected returns the calls that had the fault.
func (t *target) injected(h fault, calls []traced) (list []string) {
	for _, c := range calls {
		if h.kills() && c.result == "?" || !h.kills() && strings.Contains(c.result, "(INJECTED)") {
			what, _ := t.describe(c)
			list = append(list, what)
		}
	}
	return list
}

// restarted restarts the node and looks for what is left.
func (t *target) restarted(ctx context.Context) (o outcome, err error) {
	t.node.Process.Terminate(10 * time.Second)
	if err := t.node.Up(ctx); err != nil {
		return o, err
	}
	t.checkFiles(ctx, &o, true)
	return o, nil
}
