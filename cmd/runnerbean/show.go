package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

func newShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show a job: where it stands, its attempts and what happened",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			details, err := details(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return terminal.PrintJSON(a.stdout, details)
			}
			return printDetails(a.stdout, details)
		},
	}
}

func details(ctx context.Context, arg string) (api.Details, error) {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return api.Details{}, err
	}
	id, err := jobID(ctx, c, arg)
	if err != nil {
		return api.Details{}, err
	}
	var d api.Details
	err = c.Get(ctx, "/api/v1/jobs/"+id, &d)
	return d, err
}

func printDetails(out io.Writer, d api.Details) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	s := d.Status
	fmt.Fprintf(w, "job\t%s\n", terminal.Safe(s.ID))
	fmt.Fprintf(w, "program\t%s\n", terminal.Safe(s.Program))
	fmt.Fprintf(w, "state\t%s\n", terminal.JobStatus(s))
	if s.Chunk != nil {
		fmt.Fprintf(w, "chunk\t%s\n", terminal.Chunk(s.Chunk))
	}
	if d.Why != "" {
		fmt.Fprintf(w, "why\t%s\n", terminal.Safe(d.Why))
	}
	fmt.Fprintf(w, "result\t%s\n", terminal.Safe(d.Job.Result.URL))
	if d.Delivery != nil {
		fmt.Fprintf(w, "delivery\t%s\n", deliveryText(d.Delivery))
	}
	if d.Job.RerunOf != "" {
		fmt.Fprintf(w, "rerun of\t%s\n", terminal.Safe(d.Job.RerunOf))
	}
	if d.Loop != nil {
		fmt.Fprintf(w, "loop\t%s\n", loopText(d.Loop, d.Job.Repeat))
	}
	if s.Error != nil {
		fmt.Fprintf(w, "error\t%s\n", terminal.JobError(s.Error))
	}
	timesText(w, s)
	for _, key := range slices.Sorted(maps.Keys(d.Job.Labels)) {
		fmt.Fprintf(w, "label\t%s=%s\n", terminal.Safe(key), terminal.Safe(d.Job.Labels[key]))
	}
	for _, attempt := range d.Attempts {
		fmt.Fprintf(w, "attempt %d\t%s\n", attempt.Number, attemptText(attempt))
		filesText(w, attempt.Artifacts, attempt.LeftOut)
	}
	checkpointsText(w, d)
	for _, process := range d.Processes {
		fmt.Fprintf(w, "process %d\t%s\n", process.PID, processText(process, s.Timestamp))
	}
	provenance(w, s)
	for _, event := range d.Events {
		fmt.Fprintf(w, "%s\t%s\n", terminal.Time(event.At), eventText(event))
	}
	if len(d.Allowed) > 0 {
		fmt.Fprintf(w, "you can\t%s\n", terminal.Safe(strings.Join(d.Allowed, ", ")))
	}
	return w.Flush()
}

// timesText prints when a job came to its states.
func timesText(w io.Writer, s jobs.Result) {
	for _, t := range []struct {
		name string
		at   time.Time
	}{{"created", s.Created}, {"started", s.Started}, {"finished", s.Finished}, {"not before", s.NotBefore}} {
		if !t.at.IsZero() {
			fmt.Fprintf(w, "%s\t%s\n", t.name, terminal.Time(t.at))
		}
	}
}

// checkpointsText prints the checkpoints of a job.
func checkpointsText(w io.Writer, d api.Details) {
	if asked := d.CheckpointAsked; asked != nil {
		fmt.Fprintf(w, "checkpoint\tasked for %s%s\n", terminal.Time(asked.At), strings.TrimSuffix(" by "+terminal.Safe(asked.By), " by "))
	}
	for _, c := range d.Checkpoints {
		line := fmt.Sprintf("%s, of attempt %d, %s, SHA-256 %s", terminal.Time(c.At), c.Attempt, text.Bytes(c.Bytes), terminal.Safe(c.SHA256))
		if c.Restored > 0 {
			line += fmt.Sprintf("; attempt %d has begun from it", c.Restored)
		}
		if c.Broken != "" {
			line += "; it cannot be used: " + terminal.Safe(c.Broken)
		}
		fmt.Fprintf(w, "checkpoint %d\t%s\n", c.Number, line)
	}
}

// loopText says which run of its loop a job is, and what comes next.
func loopText(l *api.Loop, repeat jobs.Duration) string {
	line := fmt.Sprintf("run %d of %d, each %s after a success", l.Run, l.Runs, terminal.Duration(time.Duration(repeat)))
	if l.Run != l.Runs {
		line += "; newest " + terminal.Safe(l.Newest) + ", " + terminal.Safe(string(l.State))
	}
	if !l.NextAt.IsZero() {
		line += "; starts " + terminal.Time(l.NextAt)
	}
	if !l.Ended.IsZero() {
		line += "; ended for good " + terminal.Time(l.Ended)
		if l.EndedBy != "" {
			line += " by " + terminal.Safe(l.EndedBy)
		}
	}
	return line
}

func deliveryText(d *api.Delivery) string {
	text := terminal.Safe(strings.ReplaceAll(string(d.State), "_", " "))
	if !d.At.IsZero() {
		text += ", " + terminal.Time(d.At)
	}
	if !d.Next.IsZero() {
		text += ", next try " + terminal.Time(d.Next)
	}
	if d.Tries > 0 {
		text += fmt.Sprintf(", %d failed", d.Tries)
	}
	if d.Message != "" {
		text += ": " + terminal.Safe(d.Message)
	}
	return text
}

func processText(p api.Process, now time.Time) string {
	line := fmt.Sprintf("%s, %.0f %% of a processor, %s, for %s", terminal.Safe(p.Name), p.CPU*100,
		text.Bytes(p.Memory), terminal.Duration(now.Sub(p.Started)))
	if p.Paused {
		line += ", paused"
	}
	return line
}

// provenance prints the checksums of the program and of the inputs, and the files.
func provenance(w io.Writer, r jobs.Result) {
	if p := r.Provenance; p != nil {
		fmt.Fprintf(w, "program SHA-256\t%s\n", terminal.Safe(p.ProgramSHA256))
		for _, input := range p.Inputs {
			fmt.Fprintf(w, "input\t%s %s\n", terminal.Safe(input.URL), terminal.Safe(input.SHA256))
		}
	}
	filesText(w, r.Artifacts, r.LeftOut)
}

// filesText prints the files that a program has left in out/.
func filesText(w io.Writer, kept []jobs.Artifact, left []jobs.LeftOut) {
	for _, file := range kept {
		fmt.Fprintf(w, "file\t%s (%s) %s\n", terminal.Safe(file.Name), text.Bytes(file.Size), terminal.Safe(file.URL))
	}
	for _, l := range left {
		fmt.Fprintf(w, "not kept\t%s: %s\n", terminal.Safe(l.Name), terminal.Safe(l.Reason))
	}
}

func eventText(e api.Event) string {
	text := terminal.Safe(e.Kind)
	if e.Message != "" {
		text += ": " + terminal.Safe(e.Message)
	}
	if e.By != "" && !strings.Contains(e.Message, e.By) {
		text += " (" + terminal.Safe(e.By) + ")"
	}
	return text
}

func attemptText(a api.Attempt) string {
	if a.Outcome == "" {
		line := fmt.Sprintf("running on %s since %s", terminal.Safe(a.Node), terminal.Time(a.Started))
		if a.Quarantine {
			line += ", with nothing beside it"
		}
		return line
	}
	line := fmt.Sprintf("%s on %s after %s", terminal.Safe(string(a.Outcome)), terminal.Safe(a.Node), a.Finished.Sub(a.Started).Round(time.Millisecond))
	if a.ExitCode != nil && *a.ExitCode > 0 {
		line += fmt.Sprintf(", exit code %d", *a.ExitCode)
	}
	if a.Signal != "" {
		line += ", " + terminal.Safe(a.Signal)
	}
	if a.CPUSeconds > 0 || a.MaxRSS > 0 {
		line += fmt.Sprintf(", %.1f s of CPU, %s", a.CPUSeconds, text.Bytes(a.MaxRSS))
	}
	if a.Quarantine {
		line += ", with nothing beside it"
	}
	if a.Message != "" {
		line += ": " + terminal.Safe(a.Message)
	}
	return line
}
