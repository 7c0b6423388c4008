package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

func killAtEachSyscall(ctx context.Context, bed *testbed.Testbed) error {
	folder, err := bed.InstallPrograms("gated")
	if err != nil {
		return err
	}
	targets := make([]*target, 2)
	for i := range targets {
		if targets[i], err = newTarget(ctx, bed, fmt.Sprintf("node%d", i+1), folder); err != nil {
			return err
		}
	}
	var traces []callTrace
	var list []fault
	for _, large := range []bool{false, true} {
		trace, err := targets[0].traceHealthy(ctx, large)
		if err != nil {
			return err
		}
		bed.History.Logf("a healthy job (large: %t) makes %d calls after its program: %v", large, len(trace.calls), trace.calls)
		traces, list = append(traces, trace), append(list, trace.faults()...)
	}
	if bed.Config.Short {
		rng := bed.Random("faults")
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = list[:min(len(list), 40)]
	}
	cov := &coverage{kinds: map[bool]map[string]bool{false: {}, true: {}}}
	if err := injectAll(ctx, bed, targets, list, cov); err != nil {
		return err
	}
	if !bed.Config.Short {
		for _, trace := range traces {
			if err := injectMissed(ctx, bed, targets, trace, cov); err != nil {
				return err
			}
		}
	}
	all := callTrace{calls: slices.Concat(traces[0].calls, traces[1].calls)}
	return cov.report(ctx, bed, targets, all, len(list))
}

// injectMissed tries the kinds of calls that had no fault. It may miss again,
// since a call can have another number in each run.
func injectMissed(ctx context.Context, bed *testbed.Testbed, targets []*target, trace callTrace, cov *coverage) error {
	for range 10 {
		for _, how := range []string{sigkill, "error=EIO"} {
			var list []fault
			for name := range trace.count {
				missed := cov.missing(trace, name, how == sigkill)
				if len(missed) == 0 {
					continue
				}
				seen, err := targets[0].observe(ctx, name, trace.large)
				if err != nil {
					return err
				}
				for kind, at := range seen {
					if slices.Contains(missed, kind) {
						list = append(list, fault{large: trace.large, call: name, nth: at, injection: how})
					}
				}
			}
			slices.SortFunc(list, func(a, b fault) int { return strings.Compare(a.String(), b.String()) })
			if err := injectAll(ctx, bed, targets, slices.Compact(list), cov); err != nil {
				return err
			}
		}
	}
	return nil
}

// injectAll spreads faults over the targets.
func injectAll(ctx context.Context, bed *testbed.Testbed, targets []*target, list []fault, cov *coverage) error {
	next := make(chan fault)
	var wait sync.WaitGroup
	errs := make([]error, len(targets))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, t := range targets {
		wait.Go(func() {
			for h := range next {
				if errs[i] = t.inject(ctx, h, cov); errs[i] != nil {
					cancel()
					return
				}
			}
		})
	}
	for _, h := range list {
		select {
		case next <- h:
		case <-ctx.Done():
		}
	}
	close(next)
	wait.Wait()
	return errors.Join(errs...)
}

func (h *coverage) report(ctx context.Context, bed *testbed.Testbed, targets []*target, trace callTrace, planned int) error {
	for _, t := range targets {
		o, err := t.restarted(ctx)
		if err != nil {
			return err
		}
		h.leftFiles += o.leftFiles
		h.damaged += o.damaged
	}
	for _, kills := range []bool{true, false} {
		got, kinds := 0, trace.kinds(kills)
		for _, kind := range kinds {
			if h.kinds[kills][kind] {
				got++
			} else if !bed.Config.Short {
				bed.History.Logf("never hit (kills: %t): %s", kills, kind)
			}
		}
		what := map[bool]string{true: "nodes killed", false: "errors injected"}[kills]
		bed.History.MeasureLeast(what, float64(map[bool]int{true: h.kills, false: h.errors}[kills]), 1)
		if !bed.Config.Short {
			bed.History.MeasureLeast(fmt.Sprintf("%s: of the %d kinds of calls hit", what, len(kinds)), float64(got), float64(len(kinds)*7/10))
		}
	}
	bed.History.Logf("of %d planned faults %d met no call", planned, h.missed)
	bed.History.Measure("leftovers in the store, its temporary folders and scratch", float64(h.leftFiles), 0)
	bed.History.Measure("ledgers that SQLite finds damaged", float64(h.damaged), 0)
	bed.History.Measure("results without the file that the program left", float64(h.partial), 0)
	bed.History.Measure("jobs that did not succeed", float64(h.unfinished), 0)
	bed.History.Measure("slowest job after a harm, in seconds", round(h.slowest.Seconds()), patience.Seconds())
	return nil
}
