package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/jobs"
)

func newNodes(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "nodes",
		Short: "List the nodes: which are up, what they run, what is installed there",
		Long: `List the nodes that have been seen in the last week. A node is up while its
heartbeat comes; one that is lost has not said good-bye, and its jobs run
elsewhere. A drained one finishes what it runs and takes nothing new.`,
		Example: `  runnerbean nodes
  runnerbean nodes --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			var list jobs.Nodes
			if err := c.get(cmd.Context(), "/api/v1/nodes", &list); err != nil {
				return err
			}
			if !all {
				list.Nodes = newestLives(list.Nodes)
			}
			return printNodes(a, list)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "earlier lives of each node, too")
	return cmd
}

// newestLives keeps the newest life of each node, and what else still matters.
// The newest of a name comes first.
func newestLives(nodes []jobs.Node) []jobs.Node {
	kept, seen := []jobs.Node{}, map[string]bool{}
	for _, n := range nodes {
		if !seen[n.Name] || n.Alive || n.Running > 0 {
			kept = append(kept, n)
		}
		seen[n.Name] = true
	}
	return kept
}

func printNodes(a *app, list jobs.Nodes) error {
	if a.json {
		return printJSON(a.stdout, list)
	}
	if len(list.Nodes) == 0 {
		fmt.Fprintln(a.stderr, `no node has been seen; "runnerbean worker" starts one`)
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tSTATE\tLAST SEEN\tSLOTS\tRUNNING\tVERSION\tPROGRAMS")
	for _, n := range list.Nodes {
		programs := shorten(clean(strings.Join(n.Programs, ", ")), 60)
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", clean(n.Name), nodeState(n), lastSeen(n), n.Slots, n.Running, clean(n.Version), programs)
	}
	return w.Flush()
}

func nodeState(n jobs.Node) string {
	state := "lost"
	switch {
	case n.Alive:
		state = "up"
	case !n.Left.IsZero():
		state = "left"
	}
	if n.Drained {
		state += ", drained"
	}
	return state
}

func lastSeen(n jobs.Node) string {
	switch {
	case n.Alive:
		return "now"
	case !n.Left.IsZero():
		return stamp(n.Left)
	}
	return stamp(n.Beat)
}
