package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxWatched is the largest number of jobs that one command watches. Each needs a
// connection.
const maxWatched = 256

func newWatch(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID...",
		Short: "Show the progress of jobs until they end, then print their results",
		Long: `Show the progress of jobs until they have ended, then print their result
documents, with several jobs one on each line. An ID is a job's id, its result
URL, or so much of the id as tells it from others. Exit code 3: a job failed, 4: one was cancelled and none failed.`,
		Example: `  runnerbean watch 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean list --state running --json | jq -r '.jobs[].id' | xargs runnerbean watch`,
		Args: cobra.RangeArgs(1, maxWatched),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			urls := make([]string, 0, len(args))
			for _, arg := range args {
				resultURL, err := jobURL(cmd.Context(), c, arg)
				if err != nil {
					return err
				}
				if !slices.Contains(urls, resultURL) {
					urls = append(urls, resultURL)
				}
			}
			return stopped(cmd.Context(), watch(cmd.Context(), a, c, urls...), "stopped watching; what is not done goes on: "+strings.Join(urls, " "))
		},
	}
}

// watch follows jobs to their ends. It prints their progress to stderr and their results
// to stdout.
func watch(ctx context.Context, a *app, c *apiclient.Client, urls ...string) error {
	follower, err := c.Reader()
	if err != nil {
		return err
	}
	defer follower.Close()
	w := newWatcher(a, urls)
	var all sync.WaitGroup
	for i, resultURL := range urls {
		all.Go(func() { w.errs[i] = w.follow(ctx, follower, i, resultURL) })
	}
	all.Wait()
	w.bars.Clear()
	if err := errors.Join(w.errs...); err != nil {
		return err
	}
	return w.finish(a)
}

// watcher follows several jobs at the same time.
type watcher struct {
	json io.Writer // nil without --json
	mu   sync.Mutex
	bars *terminal.JobBars
	ids  []string
	errs []error
	ends []jobs.Result
}

func newWatcher(a *app, urls []string) *watcher {
	w := &watcher{errs: make([]error, len(urls)), ends: make([]jobs.Result, len(urls))}
	for _, u := range urls {
		path, _, _ := strings.Cut(u, "?")
		w.ids = append(w.ids, terminal.Safe(path[strings.LastIndexByte(path, '/')+1:]))
	}
	w.bars = terminal.NewJobBars(a.stderr, w.ids)
	if a.json {
		w.json, w.bars = a.stderr, terminal.NewJobBars(io.Discard, w.ids)
	}
	return w
}

func (w *watcher) follow(ctx context.Context, follower *jobs.Client, i int, resultURL string) error {
	for result, err := range follower.Follow(ctx, resultURL) {
		if err != nil {
			return err
		}
		w.show(i, result)
		if result.State.Final() {
			w.ends[i] = result
			return nil
		}
	}
	return ctx.Err()
}

func (w *watcher) show(i int, r jobs.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bars.Update(w.ids[i], r, time.Now())
	if w.json != nil {
		_ = terminal.PrintLineJSON(w.json, r)
	}
}

// finish prints the results. Its error has the exit code of the worst end.
func (w *watcher) finish(a *app) error {
	if len(w.ends) == 1 {
		return printFinal(a, w.ends[0])
	}
	failed, cancelled := 0, 0
	for _, r := range w.ends {
		if err := terminal.PrintLineJSON(a.stdout, r); err != nil {
			return err
		}
		switch r.State {
		case jobs.Failed:
			failed++
		case jobs.Cancelled:
			cancelled++
		}
	}
	err := fmt.Errorf("of %d jobs %d failed and %d were cancelled", len(w.ends), failed, cancelled)
	switch {
	case failed > 0:
		return &codeError{exitFailed, err}
	case cancelled > 0:
		return &codeError{exitCancelled, err}
	}
	return nil
}

// printFinal prints the result. Its error has the exit code of a failed or cancelled job.
func printFinal(a *app, result jobs.Result) error {
	if err := terminal.PrintJSON(a.stdout, result); err != nil {
		return err
	}
	switch result.State {
	case jobs.Failed:
		return &codeError{exitFailed, fmt.Errorf("job %s failed: %s", result.ID, terminal.JobError(result.Error))}
	case jobs.Cancelled:
		return &codeError{exitCancelled, fmt.Errorf("job %s was cancelled", result.ID)}
	}
	return nil
}
