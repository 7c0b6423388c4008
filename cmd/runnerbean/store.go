package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/store"
)

func newStore(a *app) *cobra.Command {
	cmd := &cobra.Command{Use: "store", Short: "Record which store belongs to the ledger"}
	var yes bool
	accept := &cobra.Command{
		Use:   "accept",
		Short: "Record the folder of RUNNERBEAN_STORE as the store of the ledger",
		Long: `Record the folder of RUNNERBEAN_STORE as the store of the ledger of
RUNNERBEAN_LEDGER, whatever the two belonged to before. A node refuses a pair that
is not recorded, since the wrong folder, or an empty mount point, has none of the
results. Use this after a store was lost, or replaced on purpose. Stop all nodes of
the ledger first; run it as the user of the node.

If results of the newest successes are missing in the folder, it refuses without
--yes. "runnerbean retry --missing-result" runs such jobs again.`,
		Example: `  runnerbean store accept --env-file /etc/runnerbean.env`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return acceptStore(cmd.Context(), a, yes) },
	}
	accept.Flags().BoolVarP(&yes, "yes", "y", false, "also if results are missing")
	cmd.AddCommand(accept)
	return cmd
}

func acceptStore(ctx context.Context, a *app, yes bool) error {
	set, err := settings.Read()
	if err != nil {
		return err
	}
	p, err := storepair.Look(ctx, set)
	if err != nil {
		return err
	}
	if p.Ledger.ID == "" && !p.Store.Results {
		return fmt.Errorf("there is no ledger at %s: a node makes ledger and store when it starts", ledger.Name(set.Ledger))
	}
	if p.Missing > 0 && !yes {
		return fmt.Errorf("of the newest %d successes whose results are not in the ledger, %d have none in %s: add --yes if this is to be the store", len(p.Ledger.Newest), p.Missing, p.Store.Folder)
	}
	l, err := ledger.Open(ctx, ledger.Config{DSN: set.Ledger})
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, set.Store)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	id, err := storepair.Accept(ctx, l, s, p.Store.Folder, userName())
	if err = errors.Join(err, s.Close(), l.Close()); err != nil {
		return err
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, id)
	}
	_, err = fmt.Fprintf(a.stdout, "the store %s at %s belongs to the ledger %s now\n", id.Store, terminal.Safe(p.Store.Folder), id.Ledger)
	if p.Missing > 0 && err == nil {
		_, err = fmt.Fprintln(a.stdout, `results are missing; run their jobs again with: runnerbean retry --missing-result --all`)
	}
	return err
}

// userName returns the name of the user that runs the command, or "".
func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}
