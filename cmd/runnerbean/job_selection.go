package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/pflag"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// selectionFlags select jobs for a verb.
type selectionFlags struct {
	program, state, node, label, text string
	since, until                      when
	all, yes                          bool
}

func (s *selectionFlags) register(f *pflag.FlagSet) {
	f.StringVar(&s.program, "program", "", "jobs of this program")
	f.StringVar(&s.state, "state", "", "jobs in this state (waiting, queued, running, failed, cancelled)")
	f.StringVar(&s.node, "node", "", "jobs that this node holds or held last")
	f.StringVar(&s.label, "label", "", "jobs with this label, key=value")
	f.Var(&s.since, "since", "jobs accepted since then: "+whenHelp)
	f.Var(&s.until, "until", "jobs accepted before then")
	f.StringVar(&s.text, "text", "", "jobs with this in their id, labels or messages")
	f.BoolVar(&s.all, "all", false, "every job to which it applies")
	f.BoolVarP(&s.yes, "yes", "y", false, "do not ask")
}

func (s *selectionFlags) some() bool {
	return s.program != "" || s.state != "" || s.node != "" || s.label != "" || s.text != "" ||
		!s.since.IsZero() || !s.until.IsZero()
}

// check refuses what is neither ids nor a selection, or both.
func (s *selectionFlags) check(ids []string, asNew bool) error {
	switch {
	case len(ids) > 0 && (s.some() || s.all):
		return errors.New("give either ids or a selection by flags, not both")
	case len(ids) == 0 && asNew:
		return errors.New("--as-new is for jobs that are given by their ids")
	case len(ids) == 0 && !s.some() && !s.all:
		return errors.New("say which jobs: by id, or with --program, --state, --node, --label, --since, --until, --text or --all")
	case s.some() && s.all:
		return errors.New("--all stands alone: leave it out to select by the other flags")
	}
	return nil
}

func (s *selectionFlags) order() api.Selection {
	return api.Selection{
		Program: s.program, State: jobs.State(s.state), Node: s.node, Label: s.label,
		Since: s.since.Time, Until: s.until.Time, Text: s.text, All: s.all,
	}
}

// many counts the selected jobs, asks, and applies the verb to them.
func (v verb) many(ctx context.Context, a *app, c *apiclient.Client, s selectionFlags) error {
	order := s.order()
	order.DryRun = true
	counted, err := v.run(ctx, c, order, func(api.Selected) {})
	if err != nil {
		return err
	}
	if counted.Matched == 0 {
		fmt.Fprintf(a.stderr, "No jobs matched: nothing to %s\n", v.name)
		return v.print(a, counted)
	}
	if err := v.confirm(a, counted.Matched, s.yes); err != nil {
		return err
	}
	order.DryRun = false
	out := a.stderr
	if a.json {
		out = io.Discard
	}
	bar := terminal.NewCountBar(out, v.name, counted.Matched)
	done, err := v.run(ctx, c, order, func(sum api.Selected) { bar.Set(sum.Matched) })
	bar.End()
	if err != nil {
		return fmt.Errorf("after %s: %w; the same command goes on with the rest", count(done.Done), err)
	}
	if err := v.print(a, done); err != nil {
		return err
	}
	return v.failures(a, done)
}

// run makes one call after another until the selection is at its end, and adds
// up the answers.
func (v verb) run(ctx context.Context, c *apiclient.Client, order api.Selection, seen func(api.Selected)) (api.Selected, error) {
	sum := api.Selected{Failed: []api.Refusal{}}
	for {
		body, err := json.Marshal(order)
		if err != nil {
			return sum, err
		}
		var answer api.Selected
		if err := c.Post(ctx, "/api/v1/jobs/"+v.name, body, &answer); err != nil {
			return sum, err
		}
		sum.Matched, sum.Done = sum.Matched+answer.Matched, sum.Done+answer.Done
		room := max(0, maxFailures-len(sum.Failed))
		sum.Failed = append(sum.Failed, answer.Failed[:min(room, len(answer.Failed))]...)
		seen(sum)
		if order.Cursor = answer.Next; answer.Next == "" {
			return sum, nil
		}
	}
}

// maxFailures is how many jobs are named that could not be changed.
const maxFailures = 20

func (v verb) print(a *app, sum api.Selected) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, sum)
	}
	if sum.Done == 0 {
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, "%s %s\n", count(sum.Done), v.done)
	return err
}

// failures names jobs that could not be changed, as an error.
func (v verb) failures(a *app, sum api.Selected) error {
	refused := sum.Matched - sum.Done
	if refused == 0 {
		return nil
	}
	for _, f := range sum.Failed {
		fmt.Fprintf(a.stderr, "%s: %s\n", terminal.Safe(f.ID), terminal.Safe(f.Detail))
	}
	if more := refused - len(sum.Failed); more > 0 {
		fmt.Fprintf(a.stderr, "and %s more\n", humanize.Comma(int64(more)))
	}
	return fmt.Errorf("%s: %s does not apply", count(refused), v.name)
}

// confirm asks on a terminal; a script has to say --yes.
func (v verb) confirm(a *app, n int, yes bool) error {
	if yes {
		return nil
	}
	if !terminal.Interactive(a.stdin) {
		return usageError(fmt.Errorf("%s would be %s: nobody is there to be asked, so add --yes to do it", count(n), v.participle()))
	}
	fmt.Fprintf(a.stderr, "%s %s? [y/N] ", v.name, count(n))
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

func (v verb) participle() string {
	switch v.name {
	case "cancel":
		return "cancelled"
	case "stop":
		return "stopped"
	case "retry":
		return "retried"
	case "terminate":
		return "terminated"
	}
	return v.name
}

// count is a number of jobs in words.
func count(n int) string {
	if n == 1 {
		return "1 job"
	}
	return humanize.Comma(int64(n)) + " jobs"
}
