package main

import (
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

func newList(a *app) *cobra.Command {
	var filter jobFilter
	var cursor string
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List jobs, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query := filter.query()
			query.Set("limit", strconv.Itoa(limit))
			if cursor != "" {
				query.Set("cursor", cursor)
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			var page api.Page
			if err := c.Get(cmd.Context(), "/api/v1/jobs?"+query.Encode(), &page); err != nil {
				return err
			}
			return printPage(a, page)
		},
	}
	filter.register(cmd.Flags(), "waiting, queued, running, succeeded, failed, cancelled")
	cmd.Flags().StringVar(&cursor, "cursor", "", "where to go on, as the page before said")
	cmd.Flags().IntVar(&limit, "limit", 50, "at most so many, up to 1000")
	return cmd
}

func printPage(a *app, page api.Page) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, page)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPROGRAM\tSTATE\tATTEMPT\tNODE\tCREATED\tNOTE")
	for _, r := range page.Jobs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\t%s\n", terminal.Safe(r.ID), terminal.Safe(r.Program), terminal.Safe(string(r.State)), r.Attempt, terminal.Safe(r.Node), terminal.Time(r.Created), terminal.JobNote(r))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if page.Next != "" && !page.Back.IsZero() {
		fmt.Fprintf(a.stderr, "looked back to %s\n", terminal.Time(page.Back))
	}
	if page.Next != "" {
		fmt.Fprintf(a.stderr, "more: --cursor %s\n", terminal.Safe(page.Next))
	}
	return nil
}
