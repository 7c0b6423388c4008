package health

import (
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

// TestEachStateHasItsWord lists the states of a node in their order. Each row also has
// what makes the later ones.
func TestEachStateHasItsWord(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	silent := func(d time.Duration, alive bool) api.Node {
		return api.Node{Alive: alive, Seen: now.Add(-d), Lapses: now.Add(20*time.Second - d), Control: api.Control{Paused: true}, Drained: true}
	}
	left := silent(time.Hour, false)
	left.Left = now
	troubled := silent(time.Second, true)
	troubled.Vitals = &api.Vitals{Trouble: &api.Trouble{Reason: "no scratch folder", Faults: 3}}
	drained := silent(time.Second, true)
	drained.Control.Paused = false
	for _, test := range []struct {
		node       api.Node
		word, tone string
		concern    int
		hidden     int
	}{
		{left, "left", "soft", 0, 2},
		{silent(time.Hour, false), "dead", "bad", 3, 2},
		{silent(12*time.Second, true), "late", "warn", 2, 2},
		{troubled, "troubled", "bad", 3, 2},
		{silent(11*time.Second, true), "paused", "warn", 1, 1},
		{drained, "drained", "warn", 1, 0},
		{api.Node{Alive: true}, "up", "ok", 0, 0}, // an answer without times
	} {
		s := StateOf(test.node, now)
		if string(s) != test.word || s.Tone() != test.tone || s.Concern() != test.concern || len(s.Hidden(test.node)) != test.hidden {
			t.Errorf("%s, tone %q, concern %d, hidden %v, want %+v", s, s.Tone(), s.Concern(), s.Hidden(test.node), test)
		}
	}
}

func TestDisks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		free, reusable, floor, total int64
		level                        api.Level
		word                         string
	}{
		{99, 0, 100, 1000, api.LevelBad, "full"},
		{100, 0, 100, 1000, api.LevelWarn, "nearly full"},
		{399, 0, 100, 1000, api.LevelWarn, "nearly full"},
		{400, 0, 100, 1000, api.LevelOK, ""},
		{400, 0, 100, 21000, api.LevelWarn, "nearly full"},
		{19, 0, 0, 1000, api.LevelWarn, "nearly full"}, // a folder of programs has no floor
		{20, 0, 0, 1000, api.LevelOK, ""},
		{0, 0, 0, 0, api.LevelOK, ""},
		{60, 39, 100, 1000, api.LevelBad, "full"},
		{60, 40, 100, 1000, api.LevelWarn, "nearly full"},
		{50, 9000, 100, 1000, api.LevelWarn, "nearly full"},
		{49, 9000, 100, 1000, api.LevelBad, "full"},
		{250, 149, 100, 1000, api.LevelWarn, "nearly full"},
		{250, 150, 100, 1000, api.LevelOK, ""},
		{199, 9000, 100, 1000, api.LevelWarn, "nearly full"},
		{300, 120, 100, 21000, api.LevelOK, ""},
	} {
		d := api.Disk{Free: test.free, Reusable: test.reusable, Floor: test.floor, Total: test.total}
		if DiskLevel(d) != test.level || DiskWord(d) != test.word {
			t.Errorf("%+v is %q, %q", test, DiskLevel(d), DiskWord(d))
		}
	}
}

// TestScarcestCountsRoomInsideTheLedger has disks whose order is another without that room.
func TestScarcestCountsRoomInsideTheLedger(t *testing.T) {
	t.Parallel()
	ledger := api.Disk{Path: "/ledger", Free: 80, Reusable: 60, Floor: 100}
	store := api.Disk{Path: "/store", Free: 120, Floor: 100}
	if d, ok := Scarcest([]api.Disk{ledger, store}); !ok || d.Path != store.Path {
		t.Errorf("%+v, want that of the store", d)
	}
	ledger.Free = 49
	if d, ok := Scarcest([]api.Disk{store, ledger}); !ok || d.Path != ledger.Path {
		t.Errorf("%+v, want that of the ledger", d)
	}
}
