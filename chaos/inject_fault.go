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
func (v *target) describe(c traced) (string, bool) {
	var words []string
	ours := false
	_, port := testbed.Split(v.at.Beanstalkd)
	home := filepath.Dir(v.at.Store)
	// An unfinished call has this text in place of its results.
	args := strings.ReplaceAll(c.args, "<unfinished ...>", "")
	for _, m := range paths.FindAllStringSubmatch(args, -1) {
		path := m[1] + m[2]
		if strings.Contains(path, ":"+port+"]") {
			ours, path = true, "beanstalkd"
		}
		for _, folder := range []string{home, filepath.Join(v.node.Data, "scratch")} {
			if rest, ok := strings.CutPrefix(path, folder); ok {
				ours, path = true, rest
			}
		}
		if path != v.bed.Dir { // every path is in the working folder
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

// traceHealthy returns the calls of a job without faults, the first one of the
// node.
func (v *target) traceHealthy(ctx context.Context) (callTrace, error) {
	w := callTrace{count: map[string]int{}}
	calls, err := v.traceOne(ctx, "%file,%desc")
	of := map[string]int{} // by thread and name
	for _, c := range calls {
		if what, ok := v.describe(c); ok {
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

// observe restarts the node and returns the number that each kind of the call
// has in its thread.
func (v *target) observe(ctx context.Context, name string) (map[string]int, error) {
	v.node.Terminate(10 * time.Second)
	if err := v.restart(ctx); err != nil {
		return nil, err
	}
	calls, err := v.traceOne(ctx, name)
	of, at := map[string]int{}, map[string]int{}
	for _, c := range calls {
		of[c.thread]++
		if what, ok := v.describe(c); ok {
			at[what] = of[c.thread]
		}
	}
	return at, err
}

// traceOne traces a job without faults.
func (v *target) traceOne(ctx context.Context, names string) ([]traced, error) {
	j, open, err := v.startGated(ctx)
	if err != nil {
		return nil, err
	}
	trace, err := startTrace(ctx, v.bed, v.node.PID(), names, "")
	if err != nil {
		return nil, err
	}
	open()
	if v.known[j.ID] = v.follow(ctx, j, trace); !v.known[j.ID] {
		return nil, errors.New("a healthy job did not succeed")
	}
	testbed.Sleep(ctx, afterEnd)
	return trace.end()
}

// inject causes one fault in one job and records the outcome.
func (v *target) inject(ctx context.Context, h fault, cov *coverage) error {
	j, open, err := v.startGated(ctx)
	if err != nil {
		return err
	}
	trace, err := startTrace(ctx, v.bed, v.node.PID(), h.call, h.String())
	if err != nil {
		return err
	}
	v.bed.History.Logf("%s: %s on %s", j.ID, h, v.node.Name)
	if h.kills() {
		v.expectKill()
	}
	began := time.Now()
	open()
	ended := v.follow(ctx, j, trace)
	o := outcome{ended: ended, took: time.Since(began)}
	testbed.Sleep(ctx, afterEnd)
	calls, err := trace.end()
	if err != nil {
		return err
	}
	if err := v.awaitNode(ctx, trace.killed); err != nil {
		return err
	}
	ended = ended && v.bed.GetResult(ctx, v.node, j, false).State == "succeeded"
	v.known[j.ID] = ended
	o.complete = v.hasFile(j.ID)
	v.checkFiles(ctx, &o, trace.killed != 0)
	if !o.ended || !o.complete || o.took > patience/2 {
		v.bed.History.Logf("%s after %s at %v: ended %t, whole %t, after %v", j.ID, h, v.injected(h, calls), o.ended, o.complete, o.took)
	}
	cov.add(h, v.injected(h, calls), o)
	return ctx.Err()
}

// injected returns the calls that had the fault.
func (v *target) injected(h fault, calls []traced) (list []string) {
	for _, c := range calls {
		if h.kills() && c.result == "?" || !h.kills() && strings.Contains(c.result, "(INJECTED)") {
			what, _ := v.describe(c)
			list = append(list, what)
		}
	}
	return list
}

// restarted restarts the node and looks for what is left.
func (v *target) restarted(ctx context.Context) (o outcome, err error) {
	v.node.Terminate(10 * time.Second)
	if err := v.node.Up(ctx); err != nil {
		return o, err
	}
	v.checkFiles(ctx, &o, true)
	return o, nil
}
