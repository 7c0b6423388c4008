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
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/move"
	"github.com/runnerbean/runnerbean/internal/text"
)

func newMigrate(a *app) *cobra.Command {
	var wait time.Duration
	var from, to string
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Upgrade the ledger to this version of the program, or move it to PostgreSQL",
		Long: `Upgrade the ledger to this version of the program, as the start of a node does.
Nodes of the ledger leave by themselves; it waits for them. A node of a version
that cannot leave by itself has to be stopped: the command refuses while one is
alive, or waits for its end with --wait. Before it changes anything it copies the
ledger to a file beside it, whose name ends in .schema- and the old version.

The settings are those of the environment and of --env-file. Where neither has
any, and systemd has a unit runnerbean.service, they are those of the unit; root
then works as the user that the unit names. Else run it as the user of the node.

With --from and --to it moves a ledger from a file to PostgreSQL instead: stop all
nodes first. It copies all tables in one transaction, compares them by digests, and
marks the file, so that no node opens it again. It can be called again after it was
killed. Then set RUNNERBEAN_LEDGER to the URL for all nodes, and start them. Keep the
password out of the list of processes: give it as PGPASSWORD, or name a file by
?passfile=PATH in the URL.`,
		Example: `  sudo runnerbean migrate --wait 10m
  runnerbean migrate --from sqlite:/var/lib/runnerbean/ledger.db --to postgres://runnerbean@db.example/runnerbean`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from != "" || to != "" {
				return moveLedger(cmd, a, from, to)
			}
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
	cmd.Flags().StringVar(&from, "from", "", "file of the ledger to move, sqlite:PATH")
	cmd.Flags().StringVar(&to, "to", "", "database to move it to, postgres://USER@HOST/DATABASE")
	cmd.MarkFlagsRequiredTogether("from", "to")
	cmd.MarkFlagsMutuallyExclusive("from", "wait")
	return cmd
}

// moveLedger moves a ledger from a file to PostgreSQL.
func moveLedger(cmd *cobra.Command, a *app, from, to string) error {
	from, err := settings.LedgerName(from)
	if err != nil {
		return &settings.Error{Err: fmt.Errorf("--from: %w", err)}
	}
	if to, err = settings.LedgerName(to); err != nil {
		return &settings.Error{Err: fmt.Errorf("--to: %w", err)}
	}
	source, target := settings.Settings{Ledger: from}, settings.Settings{Ledger: to}
	if source.LedgerPath() == "" || target.LedgerPath() != "" {
		return &settings.Error{Err: errors.New("a ledger is moved --from sqlite:PATH --to postgres://USER@HOST/DATABASE")}
	}
	var bar terminal.CountBar
	report, err := move.Move(cmd.Context(), source.LedgerPath(), to, move.Observer{
		Waiting: func(text string) { fmt.Fprintln(a.stderr, terminal.SafeLines(text)) },
		Begin:   func(rows int) { bar = terminal.NewCountBar(a.stderr, "rows", rows) },
		Copied:  func(rows int) { bar.Set(rows) },
	})
	bar.End()
	if err != nil {
		return fmt.Errorf("move %s to %s: %w", source.LedgerPath(), ledger.Name(to), err)
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, report)
	}
	if report.Already {
		_, err = fmt.Fprintf(a.stdout, "the ledger %s was moved before\n", report.ID)
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "moved the ledger %s to %s: %s in %d tables, compared on both sides; %s\nset RUNNERBEAN_LEDGER to that URL for all nodes, and start them\n",
		report.ID, ledger.Name(to), text.Count(int(report.Rows), "row", "rows"), report.Tables, text.Count(int(report.Jobs), "job", "jobs"))
	return err
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
