package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/jobs"
)

func newCancel(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "cancel ID...",
		Short: "Cancel jobs: a queued one at once, a running one as soon as its program has stopped",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var errs []error
			for _, arg := range args {
				id, err := c.id(arg)
				if err != nil {
					return err
				}
				var status jobs.Result
				if err := c.post(cmd.Context(), "/api/v1/jobs/"+id+"/cancel", nil, &status); err != nil {
					errs = append(errs, fmt.Errorf("%s: %w", id, err))
					continue
				}
				if err := printCancelled(a, status); err != nil {
					return err
				}
			}
			return errors.Join(errs...)
		},
	}
}

func printCancelled(a *app, status jobs.Result) error {
	if a.json {
		return printJSON(a.stdout, status)
	}
	text := "cancelled"
	if !status.State.Final() {
		text = "is being stopped"
	}
	_, err := fmt.Fprintf(a.stdout, "%s %s\n", status.ID, text)
	return err
}
