package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
)

// newControls returns the commands that control a node.
func newControls(a *app) []*cobra.Command {
	return []*cobra.Command{newPause(a), newResume(a), newSlots(a)}
}

func newPause(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "pause NODE",
		Short: "Let a node's programs stand still and take no work, until resume",
		Long: `Pause a node: its running programs stand still where they are, their time limits
too, and it takes no work. "resume" lets them go on. It lasts over a restart of
the node. To let what runs come to its end, use "drain" instead.`,
		Example: `  runnerbean pause worker1 --reason "the machine is needed"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return control(cmd.Context(), a, args[0], "pause", reason,
				"node "+terminal.Safe(args[0])+" is paused. Undo it with: runnerbean resume "+terminal.Safe(args[0]))
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is shown wherever somebody wonders")
	return cmd
}

func newResume(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "resume NODE",
		Short: "Let the programs of a paused node go on",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return control(cmd.Context(), a, args[0], "resume", "", "node "+terminal.Safe(args[0])+" goes on")
		},
	}
}

func newSlots(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "slots NODE NUMBER|default",
		Short: "Set how many programs a node runs at once",
		Long: `Set how many programs a node runs at once, in place of its setting
RUNNERBEAN_SLOTS, until it is "default" again. Fewer slots end no program: the
node just takes nothing new until enough have ended.`,
		Example: `  runnerbean slots worker1 2
  runnerbean slots worker1 default`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			body := []byte(`{"slots":null}`)
			if args[1] != "default" {
				n, err := strconv.Atoi(args[1])
				if err != nil || n < 0 {
					return usageError(errors.New("the number of slots is 0 or more, or default"))
				}
				body = fmt.Appendf(nil, `{"slots":%d}`, n)
			}
			return patchNode(cmd.Context(), a, args[0], body, "node "+terminal.Safe(args[0])+" has "+args[1]+" slots now")
		},
	}
}

// control posts a verb on a node.
func control(ctx context.Context, a *app, node, verb, reason, done string) error {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Reason string `json:"reason,omitempty"`
	}{reason})
	if err != nil {
		return err
	}
	var n api.Node
	if err := c.Post(ctx, apiclient.NodePath(node)+"/"+verb, body, &n); err != nil {
		return err
	}
	return printControl(a, n, done)
}

func patchNode(ctx context.Context, a *app, node string, body []byte, done string) error {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return err
	}
	var n api.Node
	if err := c.Call(ctx, http.MethodPatch, apiclient.NodePath(node), body, &n); err != nil {
		return err
	}
	return printControl(a, n, done)
}

func printControl(a *app, n api.Node, done string) error {
	if a.json {
		return terminal.PrintJSON(a.stdout, n)
	}
	_, err := fmt.Fprintln(a.stdout, done)
	return err
}
