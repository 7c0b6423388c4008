package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/doctor"
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

The settings are those of the environment and of --env-file. Where neither has
any, and systemd has a unit runnerbean.service, they are those of the unit; root
then works as the user that the unit names. Else run it as the user of the node.`,
		Example: `  sudo runnerbean migrate --wait 10m`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := actAsService(a); err != nil {
				return err
			}
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

// actAsService takes the settings and the user of the systemd service, if there is one
// and the settings name no other node.
func actAsService(a *app) error {
	findings, err := doctor.ConsultService(a.envFile)
	for _, f := range findings {
		switch f.Status {
		case "error":
			err = errors.Join(err, errors.New(f.Detail))
		case "warning":
			fmt.Fprintln(a.stderr, terminal.SafeLines(f.Detail+": "+f.Do))
		}
	}
	return err
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
