package top

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// refreshEvery is the time between two readings, callTimeout bounds each call.
	refreshEvery = time.Second
	callTimeout  = 10 * time.Second
	// maxJobs is the largest number of jobs on the screen.
	maxJobs = 200
)

// snapshot is what the screen shows.
type snapshot struct {
	overview api.Overview
	jobs     []jobs.Result
}

// nodeAPI are the calls to a node.
type nodeAPI struct {
	load    func(state jobs.State) (snapshot, error)
	verb    func(verb, id string) (string, error)
	control func(verb, node string) (string, error)
}

func newNodeAPI(ctx context.Context, c *apiclient.Client) nodeAPI {
	limited := func(call func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		return call(ctx)
	}
	return nodeAPI{
		load: func(state jobs.State) (data snapshot, err error) {
			err = limited(func(ctx context.Context) (err error) {
				data, err = loadSnapshot(ctx, c, state)
				return err
			})
			return data, err
		},
		verb: func(verb, id string) (string, error) {
			var r jobs.Result
			err := limited(func(ctx context.Context) error {
				return c.Post(ctx, "/api/v1/jobs/"+id+"/"+verb, nil, &r)
			})
			return text.ShortID(id) + " " + terminal.VerbAnswer(c.Base, id, r), err
		},
		control: func(verb, node string) (string, error) {
			return verb + ": " + terminal.Safe(node), limited(func(ctx context.Context) error {
				return c.Post(ctx, apiclient.NodePath(node)+"/"+verb, []byte(`{"reason":"from runnerbean top"}`), &api.Node{})
			})
		},
	}
}

func loadSnapshot(ctx context.Context, c *apiclient.Client, state jobs.State) (snapshot, error) {
	var data snapshot
	if err := c.Get(ctx, "/api/v1/overview?range=1h", &data.overview); err != nil {
		return data, err
	}
	query := url.Values{"limit": {fmt.Sprint(maxJobs)}}
	if state != "" {
		query.Set("state", string(state))
	}
	var page api.Page
	err := c.Get(ctx, "/api/v1/jobs?"+query.Encode(), &page)
	data.jobs = page.Jobs
	return data, err
}
