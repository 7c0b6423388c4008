package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/jobs"
)

func newWatch(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "watch ID",
		Short: "Show a job's progress until it ends, then print its result",
		Long: `Show a job's progress until it ends, then print its result document. ID is a
job's id or its result URL. Exit code 3: the job failed, 4: it was cancelled.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			resultURL, err := c.jobURL(args[0])
			if err != nil {
				return err
			}
			return watch(cmd.Context(), a, resultURL)
		},
	}
}

// watch follows a result URL; progress goes to stderr, the result to stdout.
func watch(ctx context.Context, a *app, resultURL string) error {
	follower, err := jobs.New(jobs.Config{})
	if err != nil {
		return err
	}
	defer follower.Close()
	show := newProgress(a)
	for result, err := range follower.Follow(ctx, resultURL) {
		if err != nil {
			show.end()
			return err
		}
		show.update(result)
		if result.State.Final() {
			show.end()
			return printFinal(a, result)
		}
	}
	return ctx.Err()
}

// printFinal prints the result document and turns a failure into an exit code.
func printFinal(a *app, result jobs.Result) error {
	if err := printJSON(a.stdout, result); err != nil {
		return err
	}
	switch result.State {
	case jobs.Failed:
		return &codeError{exitFailed, fmt.Errorf("job %s failed: %s", result.ID, errorText(result.Error))}
	case jobs.Cancelled:
		return &codeError{exitCancelled, fmt.Errorf("job %s was cancelled", result.ID)}
	}
	return nil
}

func errorText(e *jobs.Error) string {
	if e == nil {
		return "no reason is recorded"
	}
	text := fmt.Sprintf("%s: %s", e.Class, clean(e.Message))
	if e.Pointer != "" {
		text += " (at " + clean(e.Pointer) + ")"
	}
	return text
}

// progress is a bar on a terminal and lines elsewhere.
type progress struct {
	w    io.Writer
	json bool
	bar  *progressbar.ProgressBar
	last string
}

func newProgress(a *app) *progress {
	p := &progress{w: a.stderr, json: a.json}
	if file, ok := a.stderr.(*os.File); ok && isatty.IsTerminal(file.Fd()) && !a.json {
		p.bar = progressbar.NewOptions(1000, progressbar.OptionSetWriter(file),
			progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30))
	}
	return p
}

func (p *progress) update(r jobs.Result) {
	text := describe(r)
	switch {
	case p.json:
		line, _ := json.Marshal(r)
		fmt.Fprintf(p.w, "%s\n", line)
	case p.bar != nil:
		p.bar.Describe(text)
		if r.Progress != nil {
			p.bar.Set(int(math.Round(*r.Progress * 1000)))
		}
	case text != p.last:
		fmt.Fprintln(p.w, text)
	}
	p.last = text
}

func (p *progress) end() {
	if p.bar != nil {
		p.bar.Finish()
	}
}

// describe says in one line where a job stands.
func describe(r jobs.Result) string {
	var text strings.Builder
	text.WriteString(string(r.State))
	if r.Progress != nil && !r.State.Final() {
		fmt.Fprintf(&text, " %3.0f %%", *r.Progress*100)
	}
	if r.Position != nil && r.State == jobs.Queued {
		fmt.Fprintf(&text, ", %d before it", *r.Position)
	}
	if r.Message != "" && r.State == jobs.Running {
		text.WriteString(", " + clean(r.Message))
	}
	if r.Reason != "" && !r.State.Final() {
		text.WriteString(", " + clean(r.Reason))
	}
	return text.String()
}

func printJSON(w io.Writer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", data)
	return err
}
