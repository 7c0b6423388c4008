package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
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

func newHelpConfig(a *app) *cobra.Command {
	table := settings.HelpTable()
	return &cobra.Command{
		Use:   "config",
		Short: "Print the settings (environment variables) with their defaults",
		Long:  "Settings are environment variables:\n\n" + table,
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprint(a.stdout, table)
			return err
		},
	}
}
