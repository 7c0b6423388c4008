package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
)

// newVerbs returns a command for each verb.
func newVerbs(a *app) []*cobra.Command {
	list := make([]*cobra.Command, 0, len(verbs))
	for _, v := range verbs {
		list = append(list, newVerb(a, v))
	}
	return list
}

const selectionHelp = `

Jobs are given by their ids or result URLs, or selected by flags, which must all
hold. A selection leaves out jobs to which this does not apply. It is counted
first and you are asked; --yes answers beforehand, as a script has to.`

func newVerb(a *app, v verb) *cobra.Command {
	var selection jobSelection
	var again retryFlags
	cmd := &cobra.Command{
		Use: v.name + " [ID...]", Short: v.short, Long: v.long + selectionHelp, Example: v.example,
		RunE: func(cmd *cobra.Command, args []string) error {
			selection.dependents = again.dependents
			if err := selection.check(args, again); err != nil {
				return usageError(fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help"))
			}
			c, err := apiclient.FromEnvironment()
			if err != nil {
				return err
			}
			if len(args) > 0 && again.dependents {
				return v.runWithDependents(cmd.Context(), a, c, args)
			}
			if len(args) > 0 {
				return v.runIDs(cmd.Context(), a, c, args, again)
			}
			return v.runSelected(cmd.Context(), a, c, selection, again)
		},
	}
	selection.register(cmd.Flags(), v.states)
	if v.name == "retry" {
		cmd.Flags().BoolVar(&again.asNew, "as-new", false, "run the job again as a new one, as a succeeded one needs")
		cmd.Flags().BoolVar(&again.missing, "missing-result", false, "succeeded jobs whose results are missing from the store")
		cmd.Flags().BoolVar(&again.dependents, "with-dependents", false, "also retry the jobs that failed only because they need these")
	}
	return cmd
}
