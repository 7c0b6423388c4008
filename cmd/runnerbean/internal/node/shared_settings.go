package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

// sharedSettings returns the settings that all nodes of a pool should have alike, because a job's
// fate depends on its node otherwise. What may hold a secret is there by its fingerprint.
func sharedSettings(s settings.Settings, webhookKeys [][]byte) map[string]string {
	keys := make([]string, len(webhookKeys))
	for i, key := range webhookKeys {
		keys[i] = keyFingerprint(key)
	}
	webhook := ""
	if s.Webhook != "" {
		sum := sha256.Sum256([]byte("runnerbean webhook " + s.Webhook))
		webhook = hex.EncodeToString(sum[:4])
	}
	return map[string]string{
		"the webhook key":           strings.Join(keys, " and "),
		prefixSetting:               s.Prefix,
		"RUNNERBEAN_WEBHOOK":        webhook,
		"RUNNERBEAN_TIMEOUT":        s.Timeout.String(),
		"RUNNERBEAN_ATTEMPTS":       fmt.Sprint(s.Attempts),
		"RUNNERBEAN_STALL":          s.Stall.String(),
		"RUNNERBEAN_GRACE":          s.Grace.String(),
		"RUNNERBEAN_LEASE":          s.Lease.String(),
		"RUNNERBEAN_MAX_RESULT":     fmt.Sprint(s.MaxResult),
		"RUNNERBEAN_MAX_SCRATCH":    fmt.Sprint(s.MaxScratch),
		"RUNNERBEAN_MAX_MEMORY":     fmt.Sprint(s.MaxMemory),
		"RUNNERBEAN_MAX_OPEN_FILES": fmt.Sprint(s.MaxOpenFiles),
		"RUNNERBEAN_KEEP":           fmt.Sprint(s.Keep),
		"RUNNERBEAN_RESULTS":        s.Results,
		"RUNNERBEAN_FETCH_ALLOW":    strings.Join(s.FetchAllow, ","),
		"RUNNERBEAN_FORMER_URLS":    strings.Join(s.FormerURLs, ","),
	}
}

// prefixSetting names the setting that separates pools on beanstalkd.
const prefixSetting = "RUNNERBEAN_PREFIX"

// checkPrefix returns an error if a node of the ledger that is alive has another prefix: two pools
// in one ledger would run each other's jobs.
func checkPrefix(ctx context.Context, known *nodes.Registry, set settings.Settings) error {
	list, err := known.List(ctx)
	if err != nil {
		return err
	}
	for _, other := range list {
		prefix := other.Settings[prefixSetting]
		if other.Name != set.Node && other.Alive && prefix != "" && prefix != set.Prefix {
			return &settings.Error{Err: fmt.Errorf("the node %s of this ledger has RUNNERBEAN_PREFIX=%s, and this one %s: nodes of a pool have the same, and another pool has a ledger of its own: set RUNNERBEAN_PREFIX, or RUNNERBEAN_LEDGER (in PostgreSQL a schema of its own: search_path=NAME in the URL)", other.Name, prefix, set.Prefix)}
		}
	}
	return nil
}

// logDifferences says once what the nodes of the pool have not alike.
func logDifferences(ctx context.Context, known *nodes.Registry, log *slog.Logger) error {
	list, err := known.List(ctx)
	if err != nil {
		return err
	}
	all := make([]api.Node, len(list))
	for i, node := range list {
		all[i] = api.Node{Name: node.Name, Version: node.Version, Alive: node.Alive, Left: node.Left, Settings: node.Settings}
		for _, p := range node.Programs {
			all[i].Installed = append(all[i].Installed, api.Installed{Name: p.Name, SHA256: p.SHA256})
		}
	}
	for _, difference := range health.Differences(all) {
		log.Warn("the nodes of this pool are not alike, so that the node decides what becomes of a job", "difference", difference)
	}
	return nil
}
