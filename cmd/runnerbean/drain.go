package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

type drainFlags struct {
	queue, off bool
	reason     string
}

func newDrain(a *app) *cobra.Command {
	var flags drainFlags
	cmd := &cobra.Command{
		Use:   "drain [NODE]",
		Short: "Take a node, or the whole queue, out of work, and back",
		Long: `Take a node out of work: it finishes what it runs and takes nothing new, and
goes on serving results. Programs that save on request are asked for a
checkpoint, and their jobs go on from there on another node, if one can run
them. With --queue instead of a node no new job is accepted
anywhere: the API answers 503, jobs in the inbox stay there, and those that were
accepted before still run. Both last until --off, restarts included.

Without a node and without --queue it prints what is drained and changes nothing.`,
		Example: `  runnerbean drain                                   what is drained?
  runnerbean drain worker1 --reason "new disks"      before maintenance
  runnerbean drain worker1 --off                     after it
  runnerbean drain --queue --reason "moving house"   no new jobs
  runnerbean drain --queue --off`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := flags.check(args); err != nil {
				return usageError(fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help"))
			}
			return flags.run(cmd.Context(), a, args)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&flags.queue, "queue", false, "the whole queue: no new job is accepted")
	f.BoolVar(&flags.off, "off", false, "take work again")
	f.StringVar(&flags.reason, "reason", "", "why; it is shown wherever somebody wonders")
	return cmd
}

func (f drainFlags) check(args []string) error {
	switch {
	case len(args) == 1 && f.queue:
		return errors.New("give either a node or --queue, not both")
	case len(args) == 1 && args[0] == "":
		return errors.New("the name of the node is empty; the whole queue is --queue")
	case len(args) == 0 && !f.queue && (f.off || f.reason != ""):
		return errors.New("say what is meant: a node, or --queue")
	case f.off && f.reason != "":
		return errors.New("--reason is for draining, not for --off")
	}
	return nil
}

func (f drainFlags) run(ctx context.Context, a *app, args []string) error {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return err
	}
	var drains api.Drains
	if len(args) == 0 && !f.queue {
		if err := c.Get(ctx, "/api/v1/drain", &drains); err != nil {
			return err
		}
		return printDrains(a, drains)
	}
	node := ""
	if len(args) == 1 {
		node = args[0]
	}
	if drains, err = f.send(ctx, c, node); err != nil {
		return err
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, drains)
	}
	_, err = fmt.Fprintln(a.stdout, f.text(node))
	return err
}

// send drains a node, or the queue where node is "". With --off it ends the drain.
func (f drainFlags) send(ctx context.Context, c *apiclient.Client, node string) (drains api.Drains, err error) {
	if f.off {
		query := url.Values{"node": {node}}
		err := c.Call(ctx, http.MethodDelete, "/api/v1/drain?"+query.Encode(), nil, &drains)
		return drains, err
	}
	body, err := json.Marshal(map[string]string{"node": node, "reason": f.reason})
	if err != nil {
		return drains, err
	}
	err = c.Post(ctx, "/api/v1/drain", body, &drains)
	return drains, err
}

// text says what has changed, and how to undo it.
func (f drainFlags) text(node string) string {
	switch {
	case f.off && node == "":
		return "the queue takes jobs again"
	case f.off:
		return "node " + terminal.Safe(node) + " takes work again"
	case node == "":
		return "the queue takes no new jobs; accepted ones still run. Undo it with: runnerbean drain --queue --off"
	}
	return "node " + terminal.Safe(node) + " finishes what it runs, or hands it over, and takes no new work. Undo it with: runnerbean drain " + terminal.Safe(node) + " --off"
}

func printDrains(a *app, d api.Drains) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, d)
	}
	if d.Queue == nil && len(d.Nodes) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nothing is drained")
		return err
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DRAINED\tSINCE\tBY\tREASON")
	row := func(what string, d api.Drain) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", what, terminal.Time(d.Since), terminal.Safe(d.By), terminal.Safe(d.Reason))
	}
	if d.Queue != nil {
		row("the queue", *d.Queue)
	}
	for _, node := range d.Nodes {
		row("node "+terminal.Safe(node.Node), node)
	}
	return w.Flush()
}
