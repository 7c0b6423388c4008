package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// newVerbs returns a command for each verb.
func newVerbs(a *app) []*cobra.Command {
	list := make([]*cobra.Command, 0, len(verbs))
	for _, v := range verbs {
		list = append(list, newVerb(a, v))
	}
	return list
}

// endLoop is the name of the command that ends loops, and of its verb.
const endLoop = "end-loop"

// newEndLoop returns the command that ends loops. It takes no selection: a loop is named by any of
// its jobs.
func newEndLoop(a *app) *cobra.Command {
	return &cobra.Command{
		Use: endLoop + " ID...", Short: "End loops for good: cancel the newest job, and make no next one",
		Long: `End loops for good, each named by the id or result URL of any of its jobs, the
first one also if it was deleted. The newest job is cancelled if it has not ended,
and none follows any more, also not after a retry. That cannot be undone.

To stop a loop for a while, cancel its newest job ("runnerbean show" names it). When
that is retried and succeeds, the loop goes on.`,
		Example: "  runnerbean end-loop 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2", Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			return verb{name: endLoop}.runIDs(cmd.Context(), a, c, args, retryFlags{})
		},
	}
}

const selectionHelp = `

Jobs are given by their ids or result URLs, or selected by flags, which must all
hold. A selection leaves out jobs to which this does not apply. It is counted
first and you are asked; --yes answers beforehand, as a script has to.`

func newVerb(a *app, v verb) *cobra.Command {
	var selection jobSelection
	var again retryFlags
	cmd := &cobra.Command{
		Use: v.name + " [ID...]", Short: v.short, Long: v.long + selectionHelp, Example: v.example,
		RunE: func(cmd *cobra.Command, args []string) error {
			selection.dependents = again.dependents
			if err := selection.check(args, again); err != nil {
				return usageError(fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help"))
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			if len(args) > 0 && again.dependents {
				return v.runWithDependents(cmd.Context(), a, c, args)
			}
			if len(args) > 0 {
				return v.runIDs(cmd.Context(), a, c, args, again)
			}
			return v.runSelected(cmd.Context(), a, c, selection, again)
		},
	}
	selection.register(cmd.Flags(), v.states)
	if v.name == "retry" {
		cmd.Flags().BoolVar(&again.asNew, "as-new", false, "run the job again as a new one, as a succeeded one needs")
		cmd.Flags().BoolVar(&again.missing, "missing-result", false, "succeeded jobs whose results are missing from the store")
		cmd.Flags().BoolVar(&again.dependents, "with-dependents", false, "also retry the jobs that failed only because they need these")
	}
	return cmd
}

// runIDs applies the verb to jobs one by one, and goes on after a refusal.
func (v verb) runIDs(ctx context.Context, a *app, c *apiclient.Client, args []string, again retryFlags) error {
	ids := make([]string, 0, len(args))
	for _, arg := range args {
		id, err := jobID(ctx, c, arg)
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	var errs []error
	for _, id := range ids {
		var status jobs.Result
		if err := c.Post(ctx, "/api/v1/jobs/"+id+"/"+v.name, again.body(), &status); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w%s", id, err, hint(id, err)))
			continue
		}
		if err := v.printOne(a, c, id, status); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// hint returns the command line for what the node suggests in terms of its API.
func hint(id string, err error) string {
	var p *jobs.Problem
	if errors.As(err, &p) && p.Status == http.StatusConflict && strings.Contains(p.Detail, "as_new") {
		return "; from here: runnerbean retry --as-new " + id
	}
	return ""
}

// printOne prints what became of one job.
func (v verb) printOne(a *app, c *apiclient.Client, id string, status jobs.Result) error {
	if v.name == "delete" && !a.json {
		return printLine(a.stdout, id, "is deleted")
	}
	if v.name == endLoop && !a.json {
		return printLine(a.stdout, id, "repeats no more: the loop has ended for good")
	}
	return printVerb(a, c, id, status)
}

// printVerb prints the state of a job after the verb.
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

// runWithDependents applies the verb to jobs and to those that failed because of them.
func (v verb) runWithDependents(ctx context.Context, a *app, c *apiclient.Client, args []string) error {
	selection := api.Selection{WithDependents: true}
	for _, arg := range args {
		id, err := jobID(ctx, c, arg)
		if err != nil {
			return err
		}
		selection.IDs = append(selection.IDs, id)
	}
	done, err := v.runPages(ctx, c, selection, func(api.Selected) {})
	if err != nil {
		return err
	}
	if err := v.print(a, done); err != nil {
		return err
	}
	return v.failures(a, done)
}

// runSelected counts the selected jobs, asks for confirmation, and applies the verb.
func (v verb) runSelected(ctx context.Context, a *app, c *apiclient.Client, s jobSelection, again retryFlags) error {
	selection := s.request()
	selection.MissingResult = again.missing
	counted, err := v.count(ctx, a, c, selection)
	if err != nil {
		return err
	}
	if s.dryRun {
		return printSizes(a, counted)
	}
	if counted.Matched == 0 {
		fmt.Fprintf(a.stderr, "No jobs matched: nothing to %s\n", v.name)
		return v.print(a, counted)
	}
	if err := v.confirm(a, counted.Matched, s.yes); err != nil {
		return err
	}
	bar := terminal.NewCountBar(a.bars(), v.name, counted.Matched)
	done, err := v.runPages(ctx, c, selection, func(sum api.Selected) { bar.Set(sum.Matched) })
	bar.End()
	if err != nil {
		return fmt.Errorf("after %s: %w; the same command goes on with the rest", text.Count(done.Done, "job", "jobs"), err)
	}
	if err := v.print(a, done); err != nil {
		return err
	}
	return v.failures(a, done)
}

// count counts the selected jobs with a progress bar. Its total are all jobs to which the
// verb applies.
func (v verb) count(ctx context.Context, a *app, c *apiclient.Client, selection api.Selection) (api.Selected, error) {
	selection.DryRun = true
	total := 0
	if terminal.Interactive(a.bars()) {
		all, err := v.runPages(ctx, c, api.Selection{All: true, DryRun: true}, func(api.Selected) {})
		if err != nil {
			return all, err
		}
		total = all.Matched
	}
	bar := terminal.NewCountBar(a.bars(), "counting", total)
	defer bar.End()
	return v.runPages(ctx, c, selection, func(sum api.Selected) { bar.Set(sum.Matched) })
}

// bars returns where progress bars are drawn.
func (a *app) bars() io.Writer {
	if a.json {
		return io.Discard
	}
	return a.stderr
}

// printSizes prints how many jobs a dry run found, and what they have in the store.
func printSizes(a *app, sum api.Selected) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, sum)
	}
	line := text.Count(sum.Matched, "job", "jobs")
	switch {
	case sum.Measured == sum.Matched:
		line += " with " + text.Bytes(sum.Bytes) + " in the store (all were measured)"
	case sum.Measured > 0:
		estimate := int64(float64(sum.Bytes) / float64(sum.Measured) * float64(sum.Matched))
		line += " with about " + text.Bytes(estimate) + " in the store (" + text.Grouped(sum.Measured) + " of them were measured)"
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return err
}

// runPages calls the node until the selection has no next page, and adds up the answers.
// It calls seen with the sum after each page.
func (v verb) runPages(ctx context.Context, c *apiclient.Client, selection api.Selection, seen func(api.Selected)) (api.Selected, error) {
	sum := api.Selected{Failed: []api.Refusal{}}
	for {
		body, err := json.Marshal(selection)
		if err != nil {
			return sum, err
		}
		var answer api.Selected
		if err := c.Post(ctx, "/api/v1/jobs/"+v.name, body, &answer); err != nil {
			return sum, err
		}
		sum.Matched, sum.Done = sum.Matched+answer.Matched, sum.Done+answer.Done
		sum.Bytes, sum.Measured = sum.Bytes+answer.Bytes, sum.Measured+answer.Measured
		sum.Dependents = addDependents(sum.Dependents, answer.Dependents)
		room := max(0, maxFailures-len(sum.Failed))
		sum.Failed = append(sum.Failed, answer.Failed[:min(room, len(answer.Failed))]...)
		seen(sum)
		if selection.Cursor = answer.Next; answer.Next == "" {
			return sum, nil
		}
	}
}

// addDependents adds up the dependents of two answers.
func addDependents(sum, d *api.Dependents) *api.Dependents {
	if sum == nil || d == nil {
		return cmp.Or(sum, d)
	}
	room := max(0, maxFailures-len(sum.Left))
	return &api.Dependents{
		Retried: sum.Retried + d.Retried, LeftCount: sum.LeftCount + d.LeftCount,
		Left: append(sum.Left, d.Left[:min(room, len(d.Left))]...), Pending: sum.Pending || d.Pending,
	}
}

// maxFailures is how many refused jobs are named.
const maxFailures = 20

func (v verb) print(a *app, sum api.Selected) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, sum)
	}
	if sum.Done > 0 {
		if _, err := fmt.Fprintf(a.stdout, "%s %s\n", text.Count(sum.Done, "job", "jobs"), v.done); err != nil {
			return err
		}
	}
	return printDependents(a, sum.Dependents)
}

// printDependents says what became of the dependents of retried jobs.
func printDependents(a *app, d *api.Dependents) error {
	if d == nil {
		return nil
	}
	line := text.Count(d.Retried, "dependent", "dependents") + " queued again"
	if d.Pending {
		line += " so far; the nodes go on"
	}
	for _, left := range d.Left {
		fmt.Fprintf(a.stderr, "%s is left: %s\n", terminal.Safe(left.ID), terminal.Safe(left.Detail))
	}
	if more := d.LeftCount - len(d.Left); more > 0 {
		fmt.Fprintf(a.stderr, "and %s more are left\n", text.Grouped(more))
	}
	_, err := fmt.Fprintln(a.stdout, line)
	return err
}

// failures names the refused jobs, and returns an error if there are any.
func (v verb) failures(a *app, sum api.Selected) error {
	refused := sum.Matched - sum.Done
	if refused == 0 {
		return nil
	}
	for _, f := range sum.Failed {
		fmt.Fprintf(a.stderr, "%s: %s\n", terminal.Safe(f.ID), terminal.Safe(f.Detail))
	}
	if more := refused - len(sum.Failed); more > 0 {
		fmt.Fprintf(a.stderr, "and %s more\n", text.Grouped(more))
	}
	return fmt.Errorf("%s: %s does not apply", text.Count(refused, "job", "jobs"), v.name)
}

// confirm asks on a terminal. A script must give --yes.
func (v verb) confirm(a *app, n int, yes bool) error {
	if yes {
		return nil
	}
	if !terminal.Interactive(a.stdin) {
		return usageError(fmt.Errorf("%s would be %s: there is no terminal to ask on, so add --yes to do it", text.Count(n, "job", "jobs"), v.past))
	}
	fmt.Fprintf(a.stderr, "%s %s? [y/N] ", v.name, text.Count(n, "job", "jobs"))
	line, err := bufio.NewReader(io.LimitReader(a.stdin, 64)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return errors.New("nothing was done")
}

// newPrune returns the command that deletes old jobs.
func newPrune(a *app) *cobra.Command {
	var selection jobSelection
	v := verbs[slices.IndexFunc(verbs, func(v verb) bool { return v.name == "delete" })]
	cmd := &cobra.Command{
		Use: "prune --older AGE", Short: "Delete jobs that have ended long ago, with their results, logs and files",
		Long: `Delete jobs that have ended before a time, with their results, logs and files.
That cannot be undone. --dry-run prints how many there are, and how much room
they take in the store: of many, that is estimated from a sample.

To have the nodes do it, set RUNNERBEAN_KEEP, or keep in program.json.`,
		Example: `  runnerbean prune --older 90d --dry-run
  runnerbean prune --older 30d --program forecast --state failed --yes`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if selection.older.IsZero() {
				return usageError(fmt.Errorf("say which jobs are old: --older 90d; see %q", cmd.CommandPath()+" --help"))
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			return v.runSelected(cmd.Context(), a, c, selection, retryFlags{})
		},
	}
	flags := cmd.Flags()
	flags.Var(&selection.older, "older", "jobs that ended before then: "+pastTimeHelp)
	flags.StringVar(&selection.filter.program, "program", "", "only jobs of this program")
	flags.StringVar(&selection.filter.state, "state", "", "only jobs in this state ("+v.states+")")
	flags.BoolVar(&selection.dryRun, "dry-run", false, "only count and measure")
	flags.BoolVarP(&selection.yes, "yes", "y", false, "do not ask")
	return cmd
}
