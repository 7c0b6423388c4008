package doctor

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/apiclient"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// getFromNode asks the node at RUNNERBEAN_URL. The answer is nil where no node runs
// there; else the caller closes its body.
func getFromNode(ctx context.Context, path string) (base string, answer *http.Response, err error) {
	c, err := apiclient.FromEnvironment()
	if err != nil {
		return "", nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Base+path, nil)
	if err != nil {
		return "", nil, err
	}
	if answer, err = c.HTTP.Do(request); err != nil {
		return c.Base, nil, nil
	}
	return c.Base, answer, nil
}

// checkReady asks the node at RUNNERBEAN_URL why it takes no work.
func checkReady(ctx context.Context) Finding {
	const check = name("node")
	base, answer, err := getFromNode(ctx, "/readyz")
	switch {
	case err != nil:
		return check.warning(err.Error())
	case answer == nil:
		return check.ok("no node runs at " + base)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		return check.ok("the one at " + base + " is ready")
	}
	var problem jobs.Problem
	if body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20)); err != nil || json.Unmarshal(body, &problem) != nil {
		problem.Detail = answer.Status
	}
	return check.failure("the one at "+base+" is not ready: "+terminal.Safe(problem.Detail), "see its log")
}

// checkClock compares the clock of this machine with the time of the ledger's last
// change, and with the clock of the node at RUNNERBEAN_URL.
func checkClock(ctx context.Context, set settings.Settings) Finding {
	const check, tolerance = name("clock"), 2 * time.Second
	now := time.Now()
	if info, err := os.Stat(set.LedgerPath()); err == nil && info.ModTime().After(now.Add(tolerance)) {
		return check.failure("the ledger was written "+info.ModTime().Sub(now).Round(time.Second).String()+" in the future", "set the clock (timedatectl set-ntp true)")
	}
	base, answer, err := getFromNode(ctx, "/healthz")
	switch {
	case err != nil:
		return check.warning(err.Error())
	case answer == nil:
		return check.ok(now.UTC().Format(time.RFC3339) + " (no node runs at " + base + " to compare with)")
	}
	answer.Body.Close()
	theirs, err := http.ParseTime(answer.Header.Get("Date"))
	if off := theirs.Sub(now); err == nil && off.Abs() > tolerance {
		return check.failure("the node's clock differs by "+off.Round(time.Second).String(), "set the clocks (timedatectl set-ntp true)")
	}
	return check.ok("agrees with the node at " + base)
}

// checkAlike asks the node at RUNNERBEAN_URL what the nodes of its pool have not alike.
func checkAlike(ctx context.Context) []Finding {
	const check = name("pool")
	base, answer, err := getFromNode(ctx, "/api/v1/nodes?limit=1")
	switch {
	case err != nil:
		return []Finding{check.warning(err.Error())}
	case answer == nil:
		return nil // checkReady says so
	}
	defer answer.Body.Close()
	var list api.Nodes
	if answer.StatusCode != http.StatusOK {
		return []Finding{check.warning("the nodes of the pool cannot be compared: "+base+" answers "+answer.Status, "set RUNNERBEAN_TOKEN")}
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, apiclient.MaxAnswer)).Decode(&list); err != nil {
		return []Finding{check.warning(err.Error())}
	}
	if len(list.Differences) == 0 {
		return []Finding{check.ok("its living nodes have settings, versions and programs alike")}
	}
	var findings []Finding
	for _, difference := range list.Differences {
		findings = append(findings, check.warning(terminal.Safe(difference), "make it alike on all nodes of the pool"))
	}
	return findings
}
