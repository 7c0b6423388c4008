package health

import (
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

// TestSharesOfAProgram checks which programs share with one: those with jobs of the same
// priority on nodes that take work and have both.
func TestSharesOfAProgram(t *testing.T) {
	t.Parallel()
	node := func(name string, programs ...api.Installed) api.Node {
		return api.Node{Name: name, Alive: true, Slots: 1, Installed: programs}
	}
	a, b, c := api.Installed{Name: "a", Weight: 1}, api.Installed{Name: "b", Weight: 2}, api.Installed{Name: "c"}
	broken, drained, dead := b, node("n2", a, b), node("n3", a, b)
	broken.Problem = "no interpreter"
	drained.Drained, dead.Alive = true, false
	for name, test := range map[string]struct {
		nodes   []api.Node
		sharing []string
		want    string
	}{
		"two":          {[]api.Node{node("n1", a, b)}, []string{"a", "b"}, "its program has 1 of 3 shares"},
		"three":        {[]api.Node{node("n1", a, b), node("n2", a, c)}, []string{"a", "b", "c"}, "its program has 1 of 4 shares"},
		"alone":        {[]api.Node{node("n1", a, b)}, []string{"a"}, ""},
		"elsewhere":    {[]api.Node{node("n1", a), node("n2", b)}, []string{"a", "b"}, ""},
		"problem":      {[]api.Node{node("n1", a, broken)}, []string{"a", "b"}, ""},
		"off work":     {[]api.Node{node("n1", a), drained, dead}, []string{"a", "b"}, ""},
		"not queued":   {[]api.Node{node("n1", a, b)}, []string{"b"}, "its program has 1 of 3 shares"},
		"older life":   {[]api.Node{node("n1", a), node("n1", a, b)}, []string{"a", "b"}, ""},
		"no such node": {nil, []string{"a", "b"}, ""},
	} {
		if got := SharesReason(test.nodes, "a", test.sharing); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestPlacesSayWhyAJobWaits(t *testing.T) {
	t.Parallel()
	beat := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	zero, two := 0, 2
	node := func(name string, f func(*api.Node)) api.Node {
		n := api.Node{Name: name, Alive: true, Slots: 1, Installed: []api.Installed{{Name: "forecast"}}, Seen: beat}
		if f != nil {
			f(&n)
		}
		return n
	}
	busy := func(n *api.Node) { n.Running = 1 }
	dead := func(n *api.Node) { n.Alive = false }
	left := func(n *api.Node) { n.Alive, n.Beat, n.Left = false, time.Time{}, beat }
	for name, test := range map[string]struct {
		nodes  []api.Node
		before int
		known  bool
		want   string
	}{
		"none": {nil, 0, true, `no node that is up has the program "forecast"`},
		"other program": {
			[]api.Node{{Name: "a", Alive: true, Slots: 1, Installed: []api.Installed{{Name: "other"}}}},
			0, true, `no node that is up has the program "forecast"`,
		},
		"dead": {
			[]api.Node{node("a", dead), node("b", left)},
			0, true, `no node that is up has the program "forecast"; a (silent since 2026-11-22T12:00:00Z), b (ended at 2026-11-22T12:00:00Z) had it`,
		},
		"older life": {[]api.Node{node("a", nil), node("a", dead)}, 0, true, "is about to start"},
		"free":       {[]api.Node{node("a", nil)}, 0, true, "is about to start"},
		"ahead":      {[]api.Node{node("a", nil)}, 3, true, "3 jobs come before it"},
		"far ahead":  {[]api.Node{node("a", nil)}, 0, false, "many jobs come before it"},
		"only slot":  {[]api.Node{node("a", busy)}, 0, true, "the only slot of a is busy"},
		"all slots":  {[]api.Node{node("a", busy), node("b", busy)}, 1, true, "all 2 slots of a, b are busy; 1 job comes before it"},
		"many nodes": {
			[]api.Node{node("a", busy), node("b", busy), node("c", busy), node("d", busy), node("e", busy), node("f", busy)},
			0, true, "all 6 slots of the 6 nodes that have the program are busy",
		},
		"more slots than set":  {[]api.Node{node("a", func(n *api.Node) { n.Running, n.Control.Slots = 1, &two })}, 0, true, "is about to start"},
		"fewer slots than set": {[]api.Node{node("a", func(n *api.Node) { n.Control.Slots = &zero })}, 0, true, `no node that has the program "forecast" takes work: a has no slots`},
		"paused and drained": {
			[]api.Node{node("a", func(n *api.Node) { n.Control.Paused = true }), node("b", func(n *api.Node) { n.Drained = true })},
			0, true, `no node that has the program "forecast" takes work: a is paused, b is drained`,
		},
		"one of them drained": {[]api.Node{node("a", func(n *api.Node) { n.Drained = true }), node("b", busy)}, 0, true, "the only slot of b is busy"},
		"disk": {
			[]api.Node{node("a", func(n *api.Node) {
				n.Vitals = &api.Vitals{Disks: []api.Disk{{Path: "/ok", Total: 100, Free: 50, Floor: 10}, {Path: "/data", Total: 100, Free: 9, Floor: 10}}}
			})}, 0, true, `no node that has the program "forecast" takes work: a has too little room on its disk /data`,
		},
	} {
		if got := CapacityOf(test.nodes, "forecast").WaitReason("forecast", test.before, test.known); got != test.want {
			t.Errorf("%s: %q\nwant %q", name, got, test.want)
		}
	}
}
