package doctor

import (
	"context"
	"fmt"
	"strings"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/storepair"
	"github.com/runnerbean/runnerbean/internal/store"
)

// checkPair checks that ledger and store belong together, and that the newest results
// are there. It creates nothing.
func checkPair(ctx context.Context, set settings.Settings) Finding {
	const check = name("store")
	p, err := storepair.Look(ctx, set)
	if err != nil { // it names the setting
		return check.failure(err.Error(), "run doctor as the user of the node")
	}
	if err := p.Fault(); err != nil {
		detail, do, _ := strings.Cut(strings.TrimPrefix(err.Error(), storepair.ErrApart.Error()+": "), ": ")
		return check.failure(detail, do)
	}
	switch {
	case p.Missing > 0:
		return check.warning(fmt.Sprintf("%d of the newest %d successes whose results are not in the ledger have none in %s", p.Missing, len(p.Ledger.Newest), p.Store.Folder),
			"bring the files back, or run the jobs again: runnerbean retry --missing-result --all")
	case p.Ledger.ID == "":
		return check.ok("there is no ledger yet: the node makes it when it starts")
	case p.Store.Identity.Store == "":
		return check.ok("the store is not recorded yet: the node does so when it starts")
	}
	return check.ok(fmt.Sprintf("the store %s belongs to the ledger %s", p.Store.Identity.Store, p.Ledger.ID))
}

// checkStore checks the store where the ledger cannot be read.
func checkStore(ctx context.Context, set settings.Settings) Finding {
	const check = name("store")
	found, err := store.Inspect(ctx, set.Store)
	if err != nil {
		return check.failure(err.Error(), "run doctor as the user of the node; see RUNNERBEAN_STORE")
	}
	return check.ok(found.Folder + " can be read")
}
