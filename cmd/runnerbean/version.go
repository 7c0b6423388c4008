package main

import (
	"fmt"
	"runtime"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/spf13/cobra"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.json {
				return terminal.PrintJSON(a.stdout, map[string]string{"version": version(), "go": runtime.Version(), "platform": platform()})
			}
			_, err := fmt.Fprintln(a.stdout, versionLine())
			return err
		},
	}
}

// versionLine is what "version" and --version print.
func versionLine() string {
	return fmt.Sprintf("runnerbean %s %s %s", version(), runtime.Version(), platform())
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
