package doctor

import (
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/stuck"
)

// checkNeeds says whether a job waits for one that nobody has put for a while.
func checkNeeds(seen engine.Peeked) Finding {
	const check = name("needs")
	since := time.UnixMicro(seen.MissingSince).UTC()
	switch {
	case seen.Missing == "":
		return check.ok("no job waits for one that nobody has put")
	case time.Since(since) < stuck.MissingAfter:
		return check.ok("a job waits for one that nobody has put yet, for less than " + stuck.MissingAfter.String())
	}
	return check.warning(fmt.Sprintf("job %s needs job %s, which nobody has put since %s", seen.MissingFor, seen.Missing, since.Format(time.RFC3339)),
		"put that job, or correct the id in needs: cancel the waiting job and put a new one")
}
