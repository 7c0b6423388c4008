package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// topEvery is how often the screen is read anew, topPatience how long one
	// answer may take.
	topEvery    = time.Second
	topPatience = 10 * time.Second
	// topJobs is how many jobs of a list the screen holds.
	topJobs = 200
)

func newTop(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "top",
		Short: "Watch jobs and nodes live; keys cancel, retry and pause",
		Long: `Watch the whole system live on the terminal: the verdict, the nodes, and the jobs
that run, wait or have failed. Keys act on the selected line; what cannot be
undone is asked first.

  up down k j   select          c   cancel the job       p   pause or resume the node
  tab           jobs or nodes   t   terminate the job    d   drain or undrain the node
  f             which jobs      r   retry the job        s   let the job start over
  ?             these keys      q   quit`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !terminal.Interactive(a.stdin) || !terminal.Interactive(a.stdout) {
				return usageError(errors.New(`top needs a terminal; "runnerbean stats --json" is for scripts`))
			}
			c, err := openClient()
			if err != nil {
				return err
			}
			return runTop(cmd.Context(), a, newTopAPI(cmd.Context(), c), c.Base)
		},
	}
}

func runTop(ctx context.Context, a *app, api topAPI, base string) error {
	program := tea.NewProgram(newTopModel(api, base), tea.WithContext(ctx), tea.WithInput(a.stdin),
		tea.WithOutput(a.stdout), tea.WithEnvironment(os.Environ()), tea.WithoutSignalHandler())
	_, err := program.Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // it was asked to end
	}
	return err
}

// topData is what the screen shows.
type topData struct {
	overview api.Overview
	jobs     []jobs.Result
}

// topAPI is what the screen asks of a node.
type topAPI struct {
	load    func(state jobs.State) (topData, error)
	verb    func(verb, id string) (string, error)
	control func(verb, node string) (string, error)
}

func newTopAPI(ctx context.Context, c *apiclient.Client) topAPI {
	limited := func(call func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, topPatience)
		defer cancel()
		return call(ctx)
	}
	return topAPI{
		load: func(state jobs.State) (data topData, err error) {
			return data, limited(func(ctx context.Context) (err error) {
				data, err = loadTop(ctx, c, state)
				return err
			})
		},
		verb: func(verb, id string) (text string, err error) {
			return text, limited(func(ctx context.Context) error {
				var r jobs.Result
				err := c.Post(ctx, "/api/v1/jobs/"+id+"/"+verb, nil, &r)
				text = terminal.ShortID(id) + " " + terminal.VerbAnswer(c.Base, id, r)
				return err
			})
		},
		control: func(verb, node string) (text string, err error) {
			return verb + ": " + terminal.Safe(node), limited(func(ctx context.Context) error {
				body, err := json.Marshal(map[string]string{"reason": "from runnerbean top"})
				if err != nil {
					return err
				}
				return c.Post(ctx, apiclient.NodePath(node)+"/"+verb, body, &api.Node{})
			})
		},
	}
}

func loadTop(ctx context.Context, c *apiclient.Client, state jobs.State) (topData, error) {
	var data topData
	if err := c.Get(ctx, "/api/v1/overview?range=1h", &data.overview); err != nil {
		return data, err
	}
	query := url.Values{"limit": {fmt.Sprint(topJobs)}}
	if state != "" {
		query.Set("state", string(state))
	}
	var page api.Page
	err := c.Get(ctx, "/api/v1/jobs?"+query.Encode(), &page)
	data.jobs = page.Jobs
	return data, err
}
