package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

// followEvery is how often "logs --follow" asks for more.
const followEvery = time.Second

func newLogs(a *app) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "logs ID",
		Short: "Print what a job's program wrote to standard error",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := newClient()
			if err != nil {
				return err
			}
			resultURL, err := c.jobURL(args[0])
			if err != nil {
				return err
			}
			if follow {
				return c.followLog(cmd.Context(), a.stdout, resultURL)
			}
			_, err = c.copyLog(cmd.Context(), a.stdout, resultURL, 0)
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends")
	return cmd
}

// followLog prints what is new until the job is final.
func (c *client) followLog(ctx context.Context, out io.Writer, resultURL string) error {
	reader, err := c.reader()
	if err != nil {
		return err
	}
	defer reader.Close()
	var printed int64
	for {
		// The state is asked first: what a final job logged is all there.
		result, err := reader.Result(ctx, resultURL)
		if err != nil {
			return err
		}
		n, err := c.copyLog(ctx, out, resultURL, printed)
		if err != nil {
			return err
		}
		printed += n
		if result.State.Final() {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// copyLog prints a job's log from an offset and returns how many bytes it read.
func (c *client) copyLog(ctx context.Context, out io.Writer, resultURL string, offset int64) (int64, error) {
	u, err := url.Parse(resultURL)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.JoinPath("log").String(), nil)
	if err != nil {
		return 0, err
	}
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusRequestedRangeNotSatisfiable, offset > 0 && answer.StatusCode == http.StatusOK:
		return 0, nil // nothing new
	case answer.StatusCode >= 300:
		data, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
		return 0, problem(answer, data)
	}
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return 0, err
	}
	_, err = io.WriteString(out, cleanLines(string(data)))
	return int64(len(data)), err
}
