package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// verb is a command that asks something of jobs.
type verb struct {
	name, short, long, example string
	done                       string // of many jobs, after their number
}

var verbs = []verb{
	{
		name: "cancel", short: "Cancel jobs: an idle one at once, a running one as soon as its program has stopped",
		long: `Cancel jobs. One that waits or is queued ends at once. A running program gets
SIGTERM and the grace period to save what it has, then SIGKILL; see "terminate"
for one that shall not get any time. "retry" takes a cancelled job back.`,
		example: `  runnerbean cancel 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean cancel --program forecast --state queued
  runnerbean cancel --label customer=42 --yes`,
		done: "cancelled, running ones as soon as their programs have stopped",
	},
	{
		name: "stop", short: "Stop running jobs, with time to end by themselves; idle ones stay as they are",
		long: `Stop running jobs: like "cancel", but a job that does not run is left alone.`,
		example: `  runnerbean stop 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean stop --node worker1 --yes`,
		done: "about to stop",
	},
	{
		name: "terminate", short: "Cancel jobs and kill their programs at once",
		long: `Cancel jobs; a running program and all that it has started is killed at once
and cannot save anything. It also ends the grace period of one that was cancelled.`,
		example: `  runnerbean terminate 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean terminate --program runaway --state running`,
		done: "terminated",
	},
	{
		name: "retry", short: "Run failed or cancelled jobs again, under the same id and URL",
		long: `Run jobs again that have failed or were cancelled: same id, same result URL, as
many attempts as at first. What happened before stays in the job's history.

The result of a job that has succeeded never changes. With --as-new it is run
again as a new job, whose document names the old one.`,
		example: `  runnerbean retry 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean retry --program forecast --state failed
  runnerbean retry --as-new 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2`,
		done: "queued again",
	},
	{
		name: "reset", short: "Let jobs that have not succeeded start over",
		long: `Let jobs start over that have not succeeded, whatever they do now: a running
program is killed, which costs the job no attempt; waiting times and counted
errors are forgotten.`,
		example: `  runnerbean reset 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2
  runnerbean reset --node worker1 --state running`,
		done: "about to start over",
	},
}

func newVerbs(a *app) []*cobra.Command {
	list := make([]*cobra.Command, 0, len(verbs))
	for _, v := range verbs {
		list = append(list, newVerb(a, v))
	}
	return list
}

const selectionHelp = `

Jobs are given by their ids or result URLs, or selected by flags, which must all
hold. A selection leaves out jobs to which this does not apply. It is counted
first and you are asked; --yes answers beforehand, as a script has to.`

func newVerb(a *app, v verb) *cobra.Command {
	var selection selectionFlags
	var asNew bool
	cmd := &cobra.Command{
		Use: v.name + " [ID...]", Short: v.short, Long: v.long + selectionHelp, Example: v.example,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := selection.check(args, asNew); err != nil {
				return usageError(fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help"))
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			if len(args) > 0 {
				return v.each(cmd.Context(), a, c, args, asNew)
			}
			return v.many(cmd.Context(), a, c, selection)
		},
	}
	selection.register(cmd.Flags())
	if v.name == "retry" {
		cmd.Flags().BoolVar(&asNew, "as-new", false, "run the job again as a new one, as a succeeded one needs")
	}
	return cmd
}

// each asks the verb of jobs one by one, and goes on after a refusal.
func (v verb) each(ctx context.Context, a *app, c *apiclient.Client, args []string, asNew bool) error {
	ids := make([]string, 0, len(args))
	for _, arg := range args {
		id, err := jobID(ctx, c, arg)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	var body []byte
	if asNew {
		body = []byte(`{"as_new":true}`)
	}
	var errs []error
	for _, id := range ids {
		var status jobs.Result
		if err := c.Post(ctx, "/api/v1/jobs/"+id+"/"+v.name, body, &status); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w%s", id, err, hint(id, err)))
			continue
		}
		if err := printVerb(a, c, id, status); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// hint is how to do from here what the node says in the words of its API.
func hint(id string, err error) string {
	var p *jobs.Problem
	if errors.As(err, &p) && p.Status == http.StatusConflict && strings.Contains(p.Detail, "as_new") {
		return "; from here: runnerbean retry --as-new " + id
	}
	return ""
}

// printVerb says where a job stands now.
func printVerb(a *app, c *apiclient.Client, id string, status jobs.Result) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, status)
	}
	return printLine(a.stdout, id, terminal.VerbAnswer(c.Base, id, status))
}

func printLine(w io.Writer, id, text string) error {
	_, err := fmt.Fprintf(w, "%s %s\n", id, text)
	return err
}
