package doctor

import (
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

func TestDatabaseFindings(t *testing.T) {
	t.Parallel()
	good := engine.Server{Version: "15.1", MaxConnections: 100, Connections: 10, DeadRows: 60_000, LiveRows: 1_000_000}
	for _, c := range []struct {
		change       func(*engine.Server)
		status, text string
	}{
		{func(*engine.Server) {}, "ok", "PostgreSQL 15.1"},
		{func(s *engine.Server) { s.Standbys = 1 }, "ok", "none synchronous"},
		{func(s *engine.Server) { s.Standbys, s.Synchronous = 2, 1 }, "ok", "2 standbys, 1 synchronous"},
		{func(s *engine.Server) { s.Unsafe = []string{"fsync = off"} }, "error", "fsync = off"},
		{func(s *engine.Server) { s.Oldest, s.OldestBy = time.Hour, "psql" }, "warning", `"psql" is open for 1h0m0s`},
		{func(s *engine.Server) { s.LiveRows = 200_000 }, "warning", "60000 rows are dead"},
		{func(s *engine.Server) { s.Connections = 95 }, "warning", "5 of 100 connections"},
		{func(s *engine.Server) { s.Lag = time.Minute }, "warning", "1m0s behind"},
	} {
		s := good
		c.change(&s)
		got := databaseFindings(s)
		if len(got) != 1 || got[0].Status != c.status || !strings.Contains(got[0].Detail, c.text) {
			t.Errorf("%s: %+v", c.text, got)
		}
	}
}
