package ledger

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres"
	"github.com/runnerbean/runnerbean/internal/ledger/postgres/postgrestest"
)

// TestPlansOnPostgreSQL checks the plans of all statements on a database without statistics, as
// that of a new pool: plans are kept for the life of a connection. None may read all jobs of a
// state where an id is given.
func TestPlansOnPostgreSQL(t *testing.T) {
	t.Parallel()
	s, err := postgrestest.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	url, err := s.NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Config{DSN: url, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off"); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for i, q := range engine.Queries {
		text := postgres.Text(q)
		if !strings.Contains(text, "jobs") {
			continue
		}
		seen++
		for _, step := range explain(t, conn, fmt.Sprintf("q%d", i), text) {
			if strings.Contains(step, "Seq Scan on jobs") {
				t.Errorf("%s\n%s", text, step)
			}
			if strings.Contains(step, "jobs_") && strings.Contains(step, "Filter: ((id = ") {
				t.Errorf("%s\n%s", text, step)
			}
		}
	}
	if seen < 50 {
		t.Errorf("only %d statements", seen)
	}
}

// explain returns the steps of the plan of a statement, each with its conditions.
func explain(t *testing.T, conn *pgx.Conn, name, text string) (steps []string) {
	t.Helper()
	verb, _, _ := strings.Cut(text, " ")
	if verb != "SELECT" && verb != "UPDATE" && verb != "INSERT" && verb != "DELETE" && verb != "WITH" {
		return nil
	}
	d, err := conn.Prepare(t.Context(), name, text)
	if err != nil {
		t.Errorf("%s\n%v", text, err)
		return nil
	}
	call := name
	if n := len(d.ParamOIDs); n > 0 {
		call += "(" + strings.TrimSuffix(strings.Repeat("NULL,", n), ",") + ")"
	}
	rows, err := conn.Query(t.Context(), "EXPLAIN EXECUTE "+call, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		t.Errorf("%s\n%v", text, err)
		return nil
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Errorf("%s\n%v", text, err)
	}
	for _, line := range lines {
		if line = strings.TrimSpace(line); strings.Contains(line, "Scan") || len(steps) == 0 {
			steps = append(steps, line)
		} else {
			steps[len(steps)-1] += " " + line
		}
	}
	return steps
}
