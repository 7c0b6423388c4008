package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// checkReady asks the node at RUNNERBEAN_URL why it takes no work, if so.
func checkReady(ctx context.Context) finding {
	const check = "node"
	c, err := openClient()
	if err != nil {
		return finding{check, "warning", err.Error(), ""}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+"/readyz", nil)
	if err != nil {
		return finding{check, "warning", err.Error(), ""}
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return finding{check, "ok", "no node runs at " + c.Base, ""}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		return finding{check, "ok", "the one at " + c.Base + " is ready", ""}
	}
	var problem jobs.Problem
	if body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20)); err != nil || json.Unmarshal(body, &problem) != nil {
		problem.Detail = answer.Status
	}
	return finding{check, "error", "the one at " + c.Base + " is not ready: " + terminal.Safe(problem.Detail), "see its log"}
}
