// Package doctor checks what a node needs, and says what to do where it is missing.
package doctor

import (
	"context"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger"
)

// Examine checks everything that a node with these settings needs, within 20 seconds.
func Examine(ctx context.Context, set settings.Settings) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	seen, unread := ledger.Peek(ctx, set.Ledger)
	read := &seen
	if unread != nil {
		read = nil
	}
	findings := append(checkUnknown(), checkBeanstalkd(ctx, set, read)...)
	findings = append(findings, checkFolder("data folder", set.Data, "RUNNERBEAN_DATA"))
	if set.Caches() {
		findings = append(findings, checkCache(set)...)
	}
	if unread != nil { // said once, although most other checks read the ledger
		findings = append(findings, name("ledger").failure(unread.Error(), "run doctor as the user of the node; see RUNNERBEAN_LEDGER"), checkStore(ctx, set))
	} else {
		findings = append(findings, checkSchema(seen), checkPair(ctx, set), checkNeeds(seen))
	}
	findings = append(findings, checkStoreFolder(ctx, set), checkDisk(ctx, set), checkOpenFiles(set), checkReady(ctx), checkClock(ctx, set))
	if unread == nil {
		findings = append(findings, checkDatabase(ctx, set)...)
	}
	findings = append(findings, checkAlike(ctx)...)
	findings = append(findings, checkPrograms(set)...)
	return append(findings, checkAccess(set), checkProxy(set), checkIsolation(), checkSystem())
}

// checkUnknown warns of variables that look like settings and are none.
func checkUnknown() []Finding {
	var findings []Finding
	for _, said := range settings.Unknown(os.Environ()) {
		findings = append(findings, name("settings").warning(said, "see \"runnerbean help config\""))
	}
	return findings
}
