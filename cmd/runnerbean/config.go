package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// newHelpConfig is "runnerbean config" and, because the help text is the same table,
// "runnerbean help config".
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
