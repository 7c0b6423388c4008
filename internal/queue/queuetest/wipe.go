package queuetest

import (
	"os"
	"path/filepath"
)

// Wipe removes the binlog of a server that has ended, as a lost disk would.
func (s *Server) Wipe() {
	s.tb.Helper()
	logs, err := filepath.Glob(filepath.Join(s.dir, "binlog.*"))
	if err != nil || len(logs) == 0 {
		s.tb.Fatalf("no binlog to wipe in %s (%v)", s.dir, err)
	}
	for _, log := range logs {
		if err := os.Remove(log); err != nil {
			s.tb.Fatal(err)
		}
	}
}
