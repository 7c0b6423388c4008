package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/settings"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres"
	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// oldTransaction is the age from which a transaction does harm.
	oldTransaction = 10 * time.Minute
	// manyDead is how many dead rows are many, if they are also a fifth of all.
	manyDead = 50_000
	// fewConnections is how many should be free: a node needs 5.
	fewConnections = 12
	maxLag         = 30 * time.Second
)

// checkDatabase checks the server of a ledger in PostgreSQL.
func checkDatabase(ctx context.Context, set settings.Settings) []Finding {
	const check = name("database")
	if set.LedgerPath() != "" {
		return nil
	}
	s, err := postgres.Inspect(ctx, set.Ledger)
	if err != nil {
		return []Finding{check.failure(err.Error(), "see RUNNERBEAN_LEDGER")}
	}
	return databaseFindings(s)
}

// databaseFindings judges a server.
func databaseFindings(s engine.Server) []Finding {
	const check = name("database")
	var findings []Finding
	if len(s.Unsafe) > 0 {
		findings = append(findings, check.failure("the server runs with "+strings.Join(s.Unsafe, ", "), "set it on: without it jobs may be lost or the server becomes slow"))
	}
	if s.Oldest > oldTransaction {
		findings = append(findings, check.warning(
			fmt.Sprintf("a transaction of %q is open for %s: dead rows cannot be removed meanwhile", s.OldestBy, s.Oldest.Round(time.Second)),
			"end it (pg_stat_activity, pg_terminate_backend), or see idle_in_transaction_session_timeout",
		))
	}
	if s.DeadRows > manyDead && s.DeadRows > s.LiveRows/4 {
		findings = append(findings, check.warning(
			fmt.Sprintf("%d rows are dead beside %d others: queries become slow", s.DeadRows, s.LiveRows),
			"look for an old transaction, replication slot or prepared transaction; VACUUM removes dead rows",
		))
	}
	if free := s.MaxConnections - s.Connections; free < fewConnections {
		findings = append(findings, check.warning(fmt.Sprintf("%d of %d connections are free", free, s.MaxConnections), "raise max_connections: a node needs 5"))
	}
	if s.Lag > maxLag {
		findings = append(findings, check.warning(fmt.Sprintf("a standby is %s behind", s.Lag.Round(time.Second)), "see pg_stat_replication"))
	}
	if len(findings) > 0 {
		return findings
	}
	return []Finding{check.ok(fmt.Sprintf("PostgreSQL %s, %s, %s", s.Version, text.Bytes(s.Size), standbys(s)))}
}

func standbys(s engine.Server) string {
	switch {
	case s.Standbys == 0:
		return "no standby seen"
	case s.Synchronous == 0:
		return fmt.Sprintf("%s, none synchronous: a fail-over may lose the newest answers", text.Count(s.Standbys, "standby", "standbys"))
	}
	return fmt.Sprintf("%s, %d synchronous", text.Count(s.Standbys, "standby", "standbys"), s.Synchronous)
}
