// Package doctor checks what a node needs, and says what to do where it is missing.
package doctor

import (
	"context"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
)

// Examine checks everything that a node with these settings needs, within 20 seconds.
func Examine(ctx context.Context, set settings.Settings) []Finding {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	findings := append(checkUnknown(), checkBeanstalkd(ctx, set)...)
	findings = append(findings, checkFolder("data folder", set.Data, "RUNNERBEAN_DATA"))
	findings = append(findings, checkSchema(ctx, set), checkPair(ctx, set), checkNeeds(ctx, set), checkDisk(ctx, set), checkOpenFiles(set), checkReady(ctx), checkClock(ctx, set))
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
