package main

import (
	"fmt"
	"io"
	"net/url"
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

func newStats(a *app) *cobra.Command {
	var window string
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Print how the whole system stands: verdict, queue, slots, ends, servers",
		Long: `Print how the whole system stands, as the overview page shows it. With --json it
is the answer of /api/v1/overview, for scripts and for monitoring.`,
		Example: `  runnerbean stats
  runnerbean stats --range 24h
  runnerbean stats --json | jq .busy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			var o api.Overview
			if err := c.Get(cmd.Context(), "/api/v1/overview?range="+url.QueryEscape(window), &o); err != nil {
				return err
			}
			if a.json {
				return terminal.PrintJSON(a.stdout, o)
			}
			return printStats(a.stdout, o)
		},
	}
	cmd.Flags().StringVar(&window, "range", "1h", "span of time for what has ended: 15m, 1h, 6h, 24h, 7d or 30d")
	return cmd
}

func printStats(out io.Writer, o api.Overview) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "verdict\t%s\n", terminal.Safe(o.Verdict.Text))
	for _, f := range o.Verdict.Findings {
		fmt.Fprintf(w, "\t%s: %s\n", terminal.Safe(string(f.Level)), terminal.Safe(f.Text))
	}
	fmt.Fprintf(w, "slots\t%d of %d busy\n", o.Busy, o.Slots)
	fmt.Fprintf(w, "queue\t%s\n", queueText(o.Queue, o.At))
	fmt.Fprintf(w, "ended, %s\t%s\n", terminal.Safe(o.Window.Name), endedText(o.Ended))
	if line := classesText(o.Failures); line != "" {
		fmt.Fprintf(w, "failures\t%s\n", line)
	}
	if line := classesText(o.Unfinished); line != "" {
		fmt.Fprintf(w, "run again after\t%s\n", line)
	}
	for _, s := range o.Servers {
		fmt.Fprintf(w, "beanstalkd\t%s\n", serverText(s))
	}
	for _, p := range o.Queue.Programs {
		fmt.Fprintf(w, "program %s\t%s queued, %s scheduled, %d running, %s waiting\n", terminal.Safe(p.Program),
			text.Grouped(p.DueNow()), text.Grouped(p.Scheduled), p.Running, text.Grouped(p.Waiting))
	}
	return w.Flush()
}

// queueText says how many jobs are queued, and how long the oldest has waited.
func queueText(q api.Queue, now time.Time) string {
	line := text.Grouped(q.DueNow()) + " queued"
	if !q.Oldest.IsZero() {
		line += ", the oldest for " + terminal.Duration(now.Sub(q.Oldest))
	}
	if q.Scheduled > 0 {
		line += ", " + text.Grouped(q.Scheduled) + " scheduled"
	}
	if q.Waiting > 0 {
		line += ", " + text.Grouped(q.Waiting) + " waiting for others"
	}
	if q.Drained != nil {
		line += ", drained"
	}
	return line
}

func endedText(ended map[jobs.State]int64) string {
	line := fmt.Sprintf("%s succeeded, %s failed, %s cancelled", text.Grouped(ended[jobs.Succeeded]),
		text.Grouped(ended[jobs.Failed]), text.Grouped(ended[jobs.Cancelled]))
	if share, ok := successShare(ended); ok {
		line += fmt.Sprintf(" (%.1f %% succeeded)", share*100)
	}
	return line
}

// successShare returns the share of succeeded jobs in those that succeeded or failed.
// ok is false where there are none.
func successShare(ended map[jobs.State]int64) (share float64, ok bool) {
	all := ended[jobs.Succeeded] + ended[jobs.Failed]
	return float64(ended[jobs.Succeeded]) / float64(max(all, 1)), all > 0
}

// classesText lists the number of attempts of each class, the largest first.
func classesText(counts map[jobs.Outcome]int64) string {
	classes := make([]jobs.Outcome, 0, len(counts))
	for class := range counts {
		classes = append(classes, class)
	}
	slices.SortFunc(classes, func(x, y jobs.Outcome) int {
		if counts[x] != counts[y] {
			return int(counts[y] - counts[x])
		}
		return strings.Compare(string(x), string(y))
	})
	parts := make([]string, 0, len(classes))
	for _, class := range classes {
		parts = append(parts, text.Grouped(counts[class])+" "+terminal.Safe(string(class)))
	}
	return strings.Join(parts, ", ")
}

func serverText(s api.Server) string {
	line := terminal.Safe(s.Addr)
	if !s.OK {
		return line + ": " + terminal.Safe(s.Error)
	}
	if s.State != "" && s.State != api.ServerUp {
		line += " (" + terminal.Safe(string(s.State)) + ")"
	}
	line += fmt.Sprintf(": %s on inboxes; %s ready, %d reserved, %s delayed, %s buried", text.Grouped(s.Inbox), text.Grouped(s.Ready), s.Reserved,
		text.Grouped(s.Delayed), text.Grouped(s.Buried))
	if s.Overdue > 0 {
		line += fmt.Sprintf(", %d overdue", s.Overdue)
	}
	if s.Memory > 0 {
		line += ", " + text.Bytes(s.Memory)
	}
	return line
}
