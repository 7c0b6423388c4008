package doctor

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// checkReady asks the node at RUNNERBEAN_URL why it takes no work, if so.
func checkReady(ctx context.Context) Finding {
	const check = "node"
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return Finding{check, "warning", err.Error(), ""}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+"/readyz", nil)
	if err != nil {
		return Finding{check, "warning", err.Error(), ""}
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return Finding{check, "ok", "no node runs at " + c.Base, ""}
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		return Finding{check, "ok", "the one at " + c.Base + " is ready", ""}
	}
	var problem jobs.Problem
	if body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20)); err != nil || json.Unmarshal(body, &problem) != nil {
		problem.Detail = answer.Status
	}
	return Finding{check, "error", "the one at " + c.Base + " is not ready: " + terminal.Safe(problem.Detail), "see its log"}
}

// checkClock compares this machine's clock with that of the node at
// RUNNERBEAN_URL, and with the newest file of the data folder.
func checkClock(ctx context.Context, set settings.Settings) Finding {
	const check, much = "clock", 2 * time.Second
	now := time.Now()
	if info, err := os.Stat(filepath.Join(set.Data, "ledger.db")); err == nil && info.ModTime().After(now.Add(much)) {
		return Finding{check, "error", "the ledger was written " + info.ModTime().Sub(now).Round(time.Second).String() + " in the future", "set the clock (timedatectl set-ntp true)"}
	}
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return Finding{check, "warning", err.Error(), ""}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+"/healthz", nil)
	if err != nil {
		return Finding{check, "warning", err.Error(), ""}
	}
	answer, err := c.HTTP.Do(request)
	if err != nil {
		return Finding{check, "ok", now.UTC().Format(time.RFC3339) + " (no node runs at " + c.Base + " to compare with)", ""}
	}
	answer.Body.Close()
	theirs, err := http.ParseTime(answer.Header.Get("Date"))
	if off := theirs.Sub(now); err == nil && off.Abs() > much {
		return Finding{check, "error", "the node's clock differs by " + off.Round(time.Second).String(), "set the clocks (timedatectl set-ntp true)"}
	}
	return Finding{check, "ok", "agrees with the node at " + c.Base, ""}
}
