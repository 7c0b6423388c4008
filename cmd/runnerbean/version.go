package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/version"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return terminal.PrintJSON(a.stdout, version.Get())
			}
			_, err := fmt.Fprintln(a.stdout, version.Get())
			return err
		},
	}
}
