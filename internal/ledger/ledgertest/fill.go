// Package ledgertest quickly makes ledgers with many jobs, for benchmarks and tests.
package ledgertest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

// Contents of a filled ledger of any size.
const (
	Nodes    = 8  // node0, node1, …
	Programs = 12 // program0, program1, …; the first has most of the jobs
	// Customers are the values of the label customer: c0, c1, …
	Customers = 8
	// Span is the time in which the jobs were accepted: as long as the ledger keeps
	// ended jobs.
	Span = 29 * 24 * time.Hour
)

// Fill makes a ledger with n jobs in a new SQLite file. Most have succeeded, some failed
// or were cancelled, a few percent wait or are queued, at most 24 run. They were
// accepted at equal intervals.
func Fill(ctx context.Context, path string, n int) error { return fill(ctx, path, n, mixture) }

// FillQueue makes a ledger whose jobs are queued, except the oldest hundredth.
func FillQueue(ctx context.Context, path string, n int) error {
	return fill(ctx, path, n, "CASE WHEN i < total / 100 THEN 'succeeded' ELSE 'queued' END")
}

// FillEnded makes a ledger whose jobs have all ended. Of the newest 1,000 more have failed
// or were cancelled: 100 and 50, so that the pages of a small ledger are as full as those
// of a large one.
func FillEnded(ctx context.Context, path string, n int) error {
	return fill(ctx, path, n, `CASE WHEN dice < IIF(i < total - 1000, 950, 850) THEN 'succeeded'
		WHEN dice < IIF(i < total - 1000, 985, 950) THEN 'failed' ELSE 'cancelled' END`)
}

// FillResults is FillEnded with results of 10 KiB in the ledger, which compress to about
// half. A million jobs are 11 GB.
func FillResults(ctx context.Context, path string, n int) (err error) {
	if err := FillEnded(ctx, path, n); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, text := range []string{
		"PRAGMA journal_mode = DELETE", "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF", // no second copy in a log
		`INSERT INTO results (job, at, document) SELECT id, finished,
			CAST('{"id":"' || id || '","attempt":1,"result":"' || hex(randomblob(5000)) || '"}' AS BLOB)
			FROM jobs WHERE state = 'succeeded' ORDER BY id`,
		"PRAGMA journal_mode = WAL",
	} {
		if _, err := db.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	return nil
}

// dice is from 0 to 999. Most jobs that have not ended are in the newest fiftieth, or in
// the newest 200 if that is more.
const mixture = `CASE WHEN i >= total - 24 THEN 'running' WHEN i >= total - MAX(total / 50, 200) AND dice < 600 THEN 'queued'
	WHEN dice < 930 THEN 'succeeded' WHEN dice < 970 THEN 'failed' WHEN dice < 990 THEN 'cancelled' ELSE 'waiting' END`

func fill(ctx context.Context, path string, n int, state string) (err error) {
	l, err := ledger.Open(ctx, ledger.Config{DSN: "sqlite:" + path})
	if err != nil {
		return err
	}
	if err := errors.Join(register(ctx, l), l.Close()); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	words := strings.NewReplacer("$total", fmt.Sprint(n), "$state", state, "$every", fmt.Sprint((Span / time.Duration(max(n, 1))).Microseconds()),
		"$first", fmt.Sprint(time.Now().Add(-Span).UnixMicro()), "$now", fmt.Sprint(time.Now().UnixMicro()),
		"$nodes", fmt.Sprint(Nodes), "$programs", fmt.Sprint(Programs), "$customers", fmt.Sprint(Customers))
	for _, text := range append(rows, activity()...) {
		if _, err := db.ExecContext(ctx, words.Replace(text)); err != nil {
			return fmt.Errorf("%w: %s", err, text)
		}
	}
	return nil
}

func register(ctx context.Context, l *ledger.Ledger) error {
	var programs []nodes.Program
	for i := range Programs {
		programs = append(programs, nodes.Program{Name: fmt.Sprintf("program%d", i), SHA256: "0123456789abcdef"})
	}
	for i := range Nodes {
		n := nodes.Node{Name: fmt.Sprintf("node%d", i), Instance: fmt.Sprintf("instance%d", i), Slots: 4, Programs: programs}
		if err := l.Nodes.Register(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

var rows = []string{
	"PRAGMA synchronous = OFF", "PRAGMA cache_size = -200000",
	`WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < $total),
	thrown AS (SELECT i, $total AS total, (i * 2654435761 % 4294967296) % 1000 AS dice, $first + i * $every AS at FROM numbers),
	made AS (SELECT i, dice, at, $state AS state,
		'program' || (CASE WHEN dice % 10 < 6 THEN 0 ELSE i % $programs END) AS program, 'node' || (i % $nodes) AS node,
		printf('%08x-%04x-7%03x-8%03x-%012x', at / 1000 >> 16, at / 1000 & 65535, i % 4096, i / 4096 % 4096, i) AS id FROM thrown)
	INSERT INTO jobs (id, program, state, priority, created, accepted, not_before, expires, started, finished, updated,
		attempt, spent, crashes, cancel_requested, node, instance, program_sha256, outcome, exit_code, signal, cpu_us, max_rss,
		server, message, reason, error, labels, due, webhook)
	SELECT id, program, state, 1024, at, at, 0, 0,
		CASE WHEN state IN ('queued', 'waiting') THEN 0 ELSE at + 1000000 END,
		CASE WHEN state IN ('queued', 'waiting', 'running') THEN 0 ELSE at + 1000000 + dice * dice * 100 END, at + 1000000,
		state NOT IN ('queued', 'waiting'), 0, 0, 0,
		CASE WHEN state IN ('queued', 'waiting') THEN '' ELSE node END,
		CASE WHEN state IN ('queued', 'waiting') THEN '' ELSE 'instance' || (i % $nodes) END, '0123456789abcdef',
		CASE state WHEN 'succeeded' THEN 'succeeded' WHEN 'failed' THEN 'error' WHEN 'cancelled' THEN 'cancelled' ELSE '' END,
		state = 'failed', '', 100000, 10000000, CASE state WHEN 'queued' THEN '0123456789abcdef' ELSE '' END, i,
		CASE state WHEN 'waiting' THEN 'waits for 1 other job' ELSE '' END,
		CASE state WHEN 'failed' THEN '{"class":"error","message":"exit status 1","log_tail":"' || printf('%.1000c', 'x') || '"}'
			WHEN 'cancelled' THEN '{"class":"cancelled","message":"cancelled by Ann"}' ELSE '' END,
		'{"customer":"c' || (i / 3 % $customers) || '","meter":"' || (i % 5000) || '"}', at, '' FROM made`,
	"INSERT INTO labels SELECT 'customer=' || json_extract(labels, '$.customer'), accepted, id FROM jobs",
	"INSERT INTO labels SELECT 'meter=' || json_extract(labels, '$.meter'), accepted, id FROM jobs",
	`INSERT INTO documents SELECT id, CAST('{"id":"' || id || '","program":"' || program || '","input":{"data":' ||
		message || '},"result":{"url":"https://results.example/' || id || '"},"labels":' || labels || '}' AS BLOB) FROM jobs`,
	`INSERT INTO live (job, attempt, progress, message, counters, chunk, updated)
		SELECT id, attempt, 0.5, 'half of it', '{"records":12}', '{"id":"packages-17"}', updated FROM jobs WHERE state = 'running'`,
	`INSERT INTO attempt_counters SELECT id, 1, '{"records":12}' FROM jobs WHERE state = 'running'`,
	`INSERT INTO chunks SELECT id, attempt, 'packages-17', 1, '40', updated FROM jobs WHERE state = 'running'`,
	`INSERT INTO counted SELECT program, 7200, finished - finished % 7200000000, node, 'records', COUNT(*) * 12.5 FROM jobs
		WHERE state = 'succeeded' GROUP BY 1, 3, 4`,
	`INSERT INTO needs (need, job, deadline) SELECT (SELECT id FROM jobs ORDER BY accepted DESC LIMIT 1), id, 0 FROM jobs WHERE state = 'waiting'`,
	`INSERT INTO events SELECT id, finished, CASE state WHEN 'failed' THEN 'failed' ELSE 'cancelled' END, id,
		CASE state WHEN 'failed' THEN node ELSE '' END, 'attempt 1: error: exit status 1',
		CASE state WHEN 'failed' THEN '' ELSE 'Ann' END FROM jobs WHERE state IN ('failed', 'cancelled')`,
	`INSERT INTO backlog SELECT program, SUM(state = 'waiting'), SUM(state = 'queued'), SUM(state = 'running'), 0, 0, 0
		FROM jobs GROUP BY program`,
	`INSERT OR REPLACE INTO backlog SELECT '', 0, 0, 0, SUM(state = 'succeeded'), SUM(state = 'failed'), SUM(state = 'cancelled') FROM jobs`,
	`INSERT INTO durations SELECT program, finished - finished % 86400000000, 10 + id % 7, COUNT(*), SUM(finished - started)
		FROM jobs WHERE state = 'succeeded' GROUP BY 1, 2, 3`,
}

// activity returns statements that count the jobs as the ledger does.
func activity() (list []string) {
	for _, grain := range []struct {
		seconds int64
		keep    time.Duration
	}{{60, 26 * time.Hour}, {600, 8 * 24 * time.Hour}, {7200, 31 * 24 * time.Hour}} {
		step, since := grain.seconds*1e6, grain.keep.Microseconds()
		for axis, name := range map[string]string{"n": "node", "p": "program"} {
			list = append(list, fmt.Sprintf(`INSERT INTO activity SELECT %d, '%s', finished - finished %% %d, %s, state, outcome,
				COUNT(*), SUM(finished - started), SUM(cpu_us), SUM(started - due) FROM jobs
				WHERE finished > $now - %d GROUP BY 3, 4, 5, 6`, grain.seconds, axis, step, name, since))
		}
		list = append(list, fmt.Sprintf(`WITH RECURSIVE steps (at) AS (SELECT $now - $now %% %d UNION ALL
			SELECT at - %d FROM steps WHERE at > $now - %d) INSERT INTO depths SELECT %d, at, 1, 2, 3 FROM steps`, step, step, since, grain.seconds))
	}
	return list
}
