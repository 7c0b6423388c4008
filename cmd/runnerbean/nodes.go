package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/dispatch"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/text"
)

func newNodes(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "nodes",
		Aliases: []string{"node"},
		Short:   "List the nodes: which are up, what they run, what is installed there",
		Long: `List the nodes that have been seen in the last week. A node is up while its
heartbeat comes, and late while that is missing for a large part of its lease. A
troubled one fails jobs by a fault of its own, and tries one now and then. A
dead one has not said good-bye, and its jobs run elsewhere. A drained one
finishes what it runs and takes nothing new; the programs of a paused one stand
still. One that was stopped has left. A star marks a number of slots that a
person has set.`,
		Example: `  runnerbean nodes
  runnerbean nodes --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			var list api.Nodes
			at, err := c.GetAt(cmd.Context(), "/api/v1/nodes", &list)
			if err != nil {
				return err
			}
			if !all {
				list.Nodes = newestInstances(list.Nodes)
			}
			return printNodes(a, list, at)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also earlier instances of each node")
	cmd.AddCommand(newForget(a))
	return cmd
}

func newForget(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "forget NODE",
		Short: "Forget a node that is dead or has left, such as a scrapped or renamed one",
		Long: `Forget a node that is dead or has left: it is no longer listed, and the overview
no longer calls it dead. What was set for it ends: its pause, drain and number of
slots. Its jobs and events stay. What it ran is taken back first. A node that is
alive is refused.

Documents on its inbox stay there; "runnerbean inbox" shows and moves them.`,
		Example: `  runnerbean nodes forget worker1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			var done api.Forgotten
			if err := c.Call(cmd.Context(), http.MethodDelete, apiclient.NodePath(args[0]), nil, &done); err != nil {
				return err
			}
			if a.json {
				return terminal.PrintJSON(a.stdout, done)
			}
			_, err = fmt.Fprintln(a.stdout, "node "+terminal.Safe(done.Node)+" is forgotten")
			return err
		},
	}
}

// newestInstances returns the newest instance of each node, and older ones that are alive
// or run jobs. In nodes the newest instance of a name comes first.
func newestInstances(nodes []api.Node) []api.Node {
	kept, seen := []api.Node{}, map[string]bool{}
	for _, n := range nodes {
		if !seen[n.Name] || n.Alive || n.Running > 0 {
			kept = append(kept, n)
		}
		seen[n.Name] = true
	}
	return kept
}

// printNodes prints the nodes as they were at a time by the clock of the answering node.
func printNodes(a *app, list api.Nodes, at time.Time) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, list)
	}
	if len(list.Nodes) == 0 {
		fmt.Fprintln(a.stderr, `no node has been seen; "runnerbean worker" starts one`)
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tLAST SEEN\tBUSY\tLOAD\tMEMORY\tDISK FREE\tVERSION\tPROGRAMS")
	for _, n := range list.Nodes {
		programs := terminal.Shorten(terminal.Safe(programsText(n)), 60)
		load, memory, disk := terminal.Vitals(n.Vitals)
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", terminal.Safe(n.Name), terminal.NodeState(n, at), lastSeen(n), slotsText(n),
			load, memory, disk, terminal.Safe(n.Version), programs)
	}
	for i, difference := range list.Differences {
		if i == 0 {
			fmt.Fprintln(w, "\nThe nodes of a pool should have these alike:")
		}
		fmt.Fprintln(w, "  "+terminal.Safe(difference))
	}
	return w.Flush()
}

// programsText names the programs of a node. It says which of them cannot start, and how
// many processes a stream program has.
func programsText(n api.Node) string {
	names, warm := slices.Clone(n.Programs), map[string]int{}
	if n.Vitals != nil && n.Alive {
		for _, p := range n.Vitals.Warm {
			warm[p.Program]++
		}
	}
	for i, name := range names {
		if count := warm[name]; count > 0 {
			names[i] += fmt.Sprintf(" (%d warm)", count)
		}
		if slices.ContainsFunc(n.Installed, func(p api.Installed) bool { return p.Name == name && p.Problem != "" }) {
			names[i] += " (cannot start)"
		}
	}
	return strings.Join(names, ", ")
}

// slotsText says how many slots are busy. A star marks a number that a person has set.
func slotsText(n api.Node) string {
	text := fmt.Sprintf("%d of %d", n.Running, n.Slots)
	if n.Control.Slots != nil {
		text += "*"
	}
	return text
}

func lastSeen(n api.Node) string {
	switch {
	case n.Alive:
		return "now"
	case !n.Left.IsZero():
		return terminal.Time(n.Left)
	}
	return terminal.Time(cmp.Or(n.Seen, n.Beat)) // older nodes do not send Seen
}

func newInbox(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inbox",
		Short: "Show messages that wait for nodes that are not up, and move them",
		Long: `Show the inboxes with messages from which no node takes: a node was renamed or
scrapped, or is not running. A message has one document or several. It asks
beanstalkd, with the settings of a node.`,
		Example: `  runnerbean inbox
  runnerbean inbox move worker1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := settings.Read()
			if err != nil {
				return err
			}
			return printInboxes(cmd.Context(), a, set)
		},
	}
	cmd.AddCommand(newInboxMove(a))
	return cmd
}

func newInboxMove(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "move OLDNODE [NEWNODE]",
		Short: "Move the messages of a node that is not up to the common inbox or another node",
		Long: `Move the messages on the inbox of a node that is not up to the inbox of another
node, or without one to the common inbox, from which all nodes take. Each is
deleted once beanstalkd has its copy. It can be stopped and repeated: the jobs of a
message that was left on both are accepted once. Buried ones stay.`,
		Example: `  runnerbean inbox move worker1 --dry-run
  runnerbean inbox move worker1 worker2`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := settings.Read()
			if err != nil {
				return err
			}
			move := dispatch.InboxMove{Queue: queue.Config{Addrs: set.Beanstalkd}, Prefix: set.Prefix, From: args[0], DryRun: dryRun}
			if len(args) == 2 {
				move.To = args[1]
			}
			return runInboxMove(cmd.Context(), a, move)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count what would be moved")
	return cmd
}

// orphanedOn is an inbox of one server.
type orphanedOn struct {
	Server string `json:"server"`
	api.OrphanedInbox
}

func printInboxes(ctx context.Context, a *app, set settings.Settings) error {
	p, err := queue.NewProducer(queue.Config{Addrs: set.Beanstalkd})
	if err != nil {
		return err
	}
	defer p.Close()
	list := []orphanedOn{}
	var errs []error
	for _, addr := range set.Beanstalkd {
		found, err := dispatch.OrphanedInboxes(ctx, p, addr, set.Prefix)
		errs = append(errs, err)
		for _, o := range found {
			list = append(list, orphanedOn{addr, o})
		}
	}
	failed := errors.Join(errs...)
	switch {
	case a.json:
		return errors.Join(terminal.PrintJSON(a.stdout, list), failed)
	case len(list) == 0 && failed == nil:
		_, err := fmt.Fprintln(a.stdout, "no messages wait for nodes that are not up")
		return err
	case len(list) == 0:
		return failed
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tMESSAGES\tSERVER")
	for _, o := range list {
		fmt.Fprintf(w, "%s\t%d\t%s\n", terminal.Safe(o.Node), o.Messages, terminal.Safe(o.Server))
	}
	return errors.Join(w.Flush(), failed)
}

func runInboxMove(ctx context.Context, a *app, move dispatch.InboxMove) error {
	count := move
	count.DryRun = true
	wanted, err := count.Run(ctx)
	if err != nil {
		return err
	}
	done, verb := wanted, "would be moved"
	if !move.DryRun {
		bar := terminal.NewCountBar(a.stderr, "moved", int(wanted.Messages))
		move.Progress = func(n int64) { bar.Set(int(n)) }
		done, err = move.Run(ctx)
		bar.End()
		if err != nil {
			return fmt.Errorf("moved %s: %w; run it again for the rest", text.Count(done.Messages, "message", "messages"), err)
		}
		verb = "moved"
	}
	if a.json {
		return terminal.PrintJSON(a.stdout, done)
	}
	fmt.Fprintf(a.stdout, "%s %s\n", text.Count(done.Messages, "message", "messages"), verb)
	if done.Buried > 0 {
		fmt.Fprintf(a.stdout, "%d are buried and stay: see the events of kind unreadable\n", done.Buried)
	}
	return nil
}
