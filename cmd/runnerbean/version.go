package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			about := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
			if a.json {
				return printJSON(a.stdout, about)
			}
			_, err := fmt.Fprintf(a.stdout, "runnerbean %s %s %s\n", about["version"], about["go"], about["platform"])
			return err
		},
	}
}
