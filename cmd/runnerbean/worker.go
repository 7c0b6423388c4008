package main

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"
)

func newWorker(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Run a node: intake, worker slots and publisher",
		Long: `Run a node: it takes jobs from beanstalkd, runs their programs and serves the
results over HTTP. The first SIGTERM or Ctrl-C stops taking work and lets
running jobs finish within RUNNERBEAN_SHUTDOWN_GRACE; then, or at the second,
they are interrupted, which costs them no attempt.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := readSettings()
			if err != nil {
				return usageError(err)
			}
			return runNode(cmd.Context(), a.kill, set)
		},
	}
}

// runNode opens a node, runs it and closes it.
func runNode(stop, kill context.Context, set settings) error {
	n, err := openNode(stop, set, set.logger(os.Stderr))
	if err != nil {
		return err
	}
	return errors.Join(n.run(stop, kill), n.close())
}
