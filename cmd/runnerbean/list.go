package main

import (
	"fmt"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

func newList(a *app) *cobra.Command {
	var filter struct {
		state, program, node, label, text, cursor string
		since, until                              when
		limit                                     int
	}
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(filter.limit)}}
			for name, value := range map[string]string{
				"state": filter.state, "program": filter.program, "node": filter.node,
				"label": filter.label, "since": filter.since.String(), "until": filter.until.String(), "text": filter.text,
				"cursor": filter.cursor,
			} {
				if value != "" {
					query.Set(name, value)
				}
			}
			c, err := newClient()
			if err != nil {
				return err
			}
			var page api.Page
			if err := c.get(cmd.Context(), "/api/v1/jobs?"+query.Encode(), &page); err != nil {
				return err
			}
			return printPage(a, page)
		},
	}
	f := cmd.Flags()
	f.StringVar(&filter.state, "state", "", "only jobs in this state (waiting, queued, running, succeeded, failed, cancelled)")
	f.StringVar(&filter.program, "program", "", "only jobs of this program")
	f.StringVar(&filter.node, "node", "", "only jobs that this node holds or held last")
	f.StringVar(&filter.label, "label", "", "only jobs with this label, key=value")
	f.Var(&filter.since, "since", "only jobs accepted since then: "+whenHelp)
	f.Var(&filter.until, "until", "only jobs accepted before then")
	f.StringVar(&filter.text, "text", "", "only jobs with this in their id, labels or messages")
	f.StringVar(&filter.cursor, "cursor", "", "where to go on, as the page before said")
	f.IntVar(&filter.limit, "limit", 50, "at most so many, up to 1000")
	return cmd
}

func printPage(a *app, page api.Page) error {
	if a.json {
		return printJSON(a.stdout, page)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPROGRAM\tSTATE\tATTEMPT\tNODE\tCREATED\tNOTE")
	for _, r := range page.Jobs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", clean(r.ID), clean(r.Program), clean(string(r.State)), r.Attempt, clean(r.Node), stamp(r.Created), note(r))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.Next != "" && !page.Back.IsZero() {
		fmt.Fprintf(a.stderr, "looked back to %s\n", stamp(page.Back))
	}
	if page.Next != "" {
		fmt.Fprintf(a.stderr, "more: --cursor %s\n", clean(page.Next))
	}
	return nil
}

// note is the one thing worth knowing about a job in a list.
func note(r jobs.Result) string {
	switch {
	case r.Error != nil && r.State.Final():
		return shorten(errorText(r.Error), 60)
	case r.State == jobs.Running && r.Progress != nil:
		return fmt.Sprintf("%.0f %% %s", *r.Progress*100, shorten(clean(r.Message), 40))
	default:
		return shorten(clean(r.Reason), 60)
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func shorten(text string, most int) string {
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	return string(runes[:most-1]) + "…"
}
