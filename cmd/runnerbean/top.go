package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/top"
)

func newTop(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Watch jobs and nodes live; keys cancel, retry and pause",
		Long:  top.Help,
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !terminal.Interactive(a.stdin) || !terminal.Interactive(a.stdout) {
				return usageError(errors.New(`top needs a terminal; "runnerbean stats --json" is for scripts`))
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			return top.Run(cmd.Context(), c, a.stdin, a.stdout)
		},
	}
}
