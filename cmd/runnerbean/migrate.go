package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/node"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

func newMigrate(a *app) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Upgrade the ledger to this version of the program",
		Long: `Upgrade the ledger to this version of the program, as the start of a node does.
Nodes of the ledger leave by themselves; it waits for them. A node of a version
that cannot leave by itself has to be stopped: the command refuses while one is
alive, or waits for its end with --wait. Before it changes anything it copies the
ledger to a file beside it, whose name ends in .schema- and the old version.

Run it as the user of the node, with the settings of the node.`,
		Example: `  runnerbean migrate --wait 10m`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := settings.Read()
			if err != nil {
				return err
			}
			return migrate(cmd, a, set, wait)
		},
	}
	cmd.Flags().Var((*spanFlag)(&wait), "wait", "how long to wait for nodes that have to be stopped by hand")
	return cmd
}

func migrate(cmd *cobra.Command, a *app, set settings.Settings, wait time.Duration) error {
	done, err := node.Migrate(cmd.Context(), set, wait, func(text string) { fmt.Fprintln(a.stderr, terminal.SafeLines(text)) })
	if err != nil {
		return err
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, done)
	}
	if done.Before == done.After {
		_, err = fmt.Fprintf(a.stdout, "the ledger %s has schema %d already\n", done.Ledger, done.After)
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "the ledger %s was upgraded from schema %d to %d; the ledger from before is in %s\n", done.Ledger, done.Before, done.After, done.Backup)
	return err
}
