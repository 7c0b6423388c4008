package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/stuck"
)

// checkNeeds says whether a job waits for one that nobody has put for a while.
func checkNeeds(ctx context.Context, set settings.Settings) Finding {
	const check = name("needs")
	seen, err := ledger.Peek(ctx, set.Ledger)
	since := time.UnixMicro(seen.MissingSince).UTC()
	switch {
	case err != nil:
		return check.failure(err.Error(), "run doctor as the user of the node; see RUNNERBEAN_LEDGER")
	case seen.Missing == "":
		return check.ok("no job waits for one that nobody has put")
	case time.Since(since) < stuck.MissingAfter:
		return check.ok("a job waits for one that nobody has put yet, for less than " + stuck.MissingAfter.String())
	}
	return check.warning(fmt.Sprintf("job %s needs job %s, which nobody has put since %s", seen.MissingFor, seen.Missing, since.Format(time.RFC3339)),
		"put that job, or correct the id in needs: cancel the waiting job and put a new one")
}
