package publisher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// pool is an overview of three nodes in good order, changed by f.
func pool(f func(*jobs.Overview)) jobs.Overview {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	o := jobs.Overview{At: at, Slots: 8, Busy: 6, LastHour: map[jobs.State]int64{}}
	for _, name := range []string{"worker1", "worker2", "worker3"} {
		o.Nodes = append(o.Nodes, jobs.Node{
			Name: name, Alive: true, Slots: 4, Running: 2, Beat: at.Add(-time.Hour), // on a clock that is off
			Seen: at.Add(-time.Second), Lapses: at.Add(19 * time.Second),
			Installed: []jobs.Installed{{Name: "forecast"}},
			Vitals:    &jobs.Vitals{Disks: []jobs.Disk{{Path: "/data", Total: 100e9, Free: 50e9, Floor: 1e9}}},
		})
	}
	o.Servers = []jobs.Server{{Addr: "127.0.0.1:11300", OK: true}}
	if f != nil {
		f(&o)
	}
	return o
}

func TestJudge(t *testing.T) {
	t.Parallel()
	well := "All is well: 3 nodes, 6 of 8 slots busy."
	silentFor := func(n int, d time.Duration, alive bool) func(*jobs.Overview) {
		return func(o *jobs.Overview) {
			o.Nodes[n].Seen, o.Nodes[n].Lapses, o.Nodes[n].Alive = o.At.Add(-d), o.At.Add(20*time.Second-d), alive
		}
	}
	queue := func(age time.Duration, program string) func(*jobs.Overview) {
		return func(o *jobs.Overview) {
			o.Queue.Queued = 1200
			o.Queue.Programs = []jobs.ProgramQueue{{Program: program, Queued: 1200, Oldest: o.At.Add(-time.Hour), Due: o.At.Add(-age)}}
		}
	}
	scheduled := func(o *jobs.Overview, n int64) {
		o.Queue.Scheduled, o.Queue.Programs[0].Scheduled, o.Queue.Programs[0].Due = n, n, time.Time{}
	}
	ended := func(succeeded, failed int64) func(*jobs.Overview) {
		return func(o *jobs.Overview) {
			o.LastHour = map[jobs.State]int64{jobs.Succeeded: succeeded, jobs.Failed: failed, jobs.Cancelled: 99}
		}
	}
	for name, test := range map[string]struct {
		change func(*jobs.Overview)
		level  jobs.Level
		text   string
		path   string // of the first finding
	}{
		"all well":      {nil, jobs.LevelOK, well, ""},
		"nothing":       {func(o *jobs.Overview) { *o = jobs.Overview{} }, jobs.LevelWarn, "No node is up.", "/nodes"},
		"late":          {silentFor(2, 12*time.Second, true), jobs.LevelWarn, "One node is late: worker3, its 2 jobs move in 8 s.", "/nodes/worker3"},
		"late, idle":    {func(o *jobs.Overview) { silentFor(2, 13*time.Second, true)(o); o.Nodes[2].Running = 0 }, jobs.LevelWarn, "One node is late: worker3, silent for 13 s.", "/nodes/worker3"},
		"another zone":  {func(o *jobs.Overview) { o.Nodes[2].Beat = o.At.Add(-3 * time.Hour) }, jobs.LevelOK, well, ""},
		"a clock ahead": {func(o *jobs.Overview) { o.Nodes[2].Beat = o.At.Add(3 * time.Hour) }, jobs.LevelOK, well, ""},
		"a long lease": {
			func(o *jobs.Overview) {
				silentFor(2, 30*time.Second, true)(o)
				o.Nodes[2].Lapses = o.At.Add(time.Minute)
			}, jobs.LevelOK, well, "",
		},
		"a long lease, late": {
			func(o *jobs.Overview) {
				silentFor(2, time.Minute, true)(o)
				o.Nodes[2].Lapses = o.At.Add(30 * time.Second)
			},
			jobs.LevelWarn, "One node is late: worker3, its 2 jobs move in 30 s.", "/nodes/worker3",
		},
		"a short lease": {
			func(o *jobs.Overview) {
				silentFor(2, 4*time.Second, true)(o)
				o.Nodes[2].Lapses = o.At.Add(time.Second)
			},
			jobs.LevelWarn, "One node is late: worker3, its 2 jobs move in 1 s.", "/nodes/worker3",
		},
		"ahead": {silentFor(2, -time.Minute, true), jobs.LevelOK, well, ""},
		"dead":  {silentFor(0, 3*time.Minute, false), jobs.LevelBad, "One node is dead: worker1, silent for 3 min.", "/nodes/worker1"},
		"two dead": {
			func(o *jobs.Overview) { silentFor(0, time.Hour, false)(o); silentFor(1, time.Hour, false)(o) },
			jobs.LevelBad, "2 nodes are dead: worker1, worker2.", "/nodes",
		},
		"dead and late": {
			func(o *jobs.Overview) { silentFor(0, 12*time.Second, true)(o); silentFor(1, time.Minute, false)(o) },
			jobs.LevelBad, "One node is dead: worker2, silent for 1 min. And 1 more fault.", "/nodes/worker2",
		},
		"hostile name": {
			func(o *jobs.Overview) { silentFor(0, time.Minute, false)(o); o.Nodes[0].Name = "a\u202e\x1b/.." },
			jobs.LevelBad, `One node is dead: a\u{202e}\u{1b}/.., silent for 1 min.`, "/nodes/a%E2%80%AE%1B%2F..",
		},
		"beanstalkd": {
			func(o *jobs.Overview) { o.Servers[0].OK = false }, jobs.LevelBad, "beanstalkd at 127.0.0.1:11300 does not answer.", "",
		},
		"paused tubes": {
			func(o *jobs.Overview) {
				o.Servers[0].Paused = []jobs.PausedTube{{Tube: "r/run/x/cat", Addr: "127.0.0.1:11300", Program: "cat", Until: o.At}, {Tube: "r/inbox", Until: o.At}}
			}, jobs.LevelWarn,
			"beanstalkd at 127.0.0.1:11300 gives out no jobs of cat until 2026-11-22T12:00:00Z: somebody has paused the tube r/run/x/cat. The nodes resume it. And 1 more fault.", "",
		},
		"documents on an inbox that is not read": {
			func(o *jobs.Overview) { o.Servers[0].UnreadInbox = 2 }, jobs.LevelWarn,
			"beanstalkd at 127.0.0.1:11300 has 2 documents on the common inbox, from which no node takes: put them on the inbox of a node, or set RUNNERBEAN_INBOX=shared.", "",
		},
		"shared inbox": {
			func(o *jobs.Overview) { o.Servers[0].Shared = []jobs.SharedInbox{{Text: "Another ledger also takes"}} }, jobs.LevelWarn, "Another ledger also takes.", "",
		},
		"one of two": {
			func(o *jobs.Overview) { o.Servers = append(o.Servers, jobs.Server{Addr: "b:1"}) }, jobs.LevelWarn, "beanstalkd at b:1 does not answer.", "",
		},
		"drain mode": {
			func(o *jobs.Overview) { o.Servers[0].Draining = true }, jobs.LevelWarn, "beanstalkd at 127.0.0.1:11300 is in drain mode: it takes no messages.", "",
		},
		"buried": {
			func(o *jobs.Overview) { o.Servers[0].Buried = 1000 }, jobs.LevelWarn, "beanstalkd at 127.0.0.1:11300 has 1,000 buried messages.", "",
		},
		"overdue": {
			func(o *jobs.Overview) { o.Servers[0].Overdue = 10 }, jobs.LevelWarn, "beanstalkd at 127.0.0.1:11300 has 10 overdue messages.", "",
		},
		"few buried": {func(o *jobs.Overview) { o.Servers[0].Buried = 2 }, jobs.LevelOK, well, ""},
		"disk nearly full": {
			func(o *jobs.Overview) { o.Nodes[1].Vitals.Disks[0].Free = 1500e6 }, jobs.LevelWarn, "A disk of worker2 is nearly full: 1.4 GiB free at /data.", "/nodes/worker2",
		},
		"disk full": {
			func(o *jobs.Overview) { o.Nodes[1].Vitals.Disks[0].Free = 500e6 },
			jobs.LevelBad, "A disk of worker2 is full: 477 MiB free at /data, and it takes no work below 954 MiB.", "/nodes/worker2",
		},
		"queue that moves": {queue(time.Minute, "forecast"), jobs.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued.", ""},
		"queue that is for tomorrow": {
			func(o *jobs.Overview) { queue(time.Hour, "forecast")(o); scheduled(o, 1200) },
			jobs.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs scheduled.", "",
		},
		"some are for tomorrow": {
			func(o *jobs.Overview) {
				queue(5*time.Minute, "forecast")(o)
				due := o.Queue.Programs[0].Due
				scheduled(o, 1199)
				o.Queue.Programs[0].Due = due
			}, jobs.LevelWarn, "1 job of forecast is queued, the oldest for 5 min, while 6 of 12 slots are idle.", "/programs/forecast",
		},
		"for tomorrow, and no node has it yet": {
			func(o *jobs.Overview) { queue(time.Hour, "rare")(o); scheduled(o, 1200) },
			jobs.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs scheduled.", "",
		},
		"for tomorrow, and no slots": {
			func(o *jobs.Overview) { queue(time.Hour, "forecast")(o); scheduled(o, 1200); o.Slots, o.Busy = 0, 0 },
			jobs.LevelOK, "All is well: 3 nodes, 0 of 0 slots busy, 1,200 jobs scheduled.", "",
		},
		"queue that does not": {
			queue(5*time.Minute, "forecast"), jobs.LevelWarn,
			"1,200 jobs of forecast are queued, the oldest for 5 min, while 6 of 12 slots are idle.", "/programs/forecast",
		},
		"old queue, all busy": {
			func(o *jobs.Overview) {
				queue(5*time.Hour, "forecast")(o)
				for i := range o.Nodes {
					o.Nodes[i].Running = 4
				}
			}, jobs.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued.", "",
		},
		"no node has it": {queue(time.Second, "rare"), jobs.LevelWarn, "1,200 jobs wait for the program rare, which no node that takes work has.", "/programs/rare"},
		"no slots": {
			func(o *jobs.Overview) { queue(time.Second, "forecast")(o); o.Slots = 0 }, jobs.LevelBad, "No node takes work, and 1,200 jobs wait.", "/jobs?state=queued",
		},
		"failures":     {ended(16, 4), jobs.LevelOK, well, ""},
		"many":         {ended(75, 25), jobs.LevelWarn, "25 of 100 jobs failed in the last hour.", "/jobs?state=failed"},
		"most":         {ended(1, 5), jobs.LevelBad, "5 of 6 jobs failed in the last hour.", "/jobs?state=failed"},
		"few of many":  {ended(1000, 100), jobs.LevelOK, well, ""},
		"queue closed": {func(o *jobs.Overview) { o.Queue.Drained = &jobs.Drain{} }, jobs.LevelOK, well + " The queue is drained: no new job is accepted.", ""},
		"paused": {
			func(o *jobs.Overview) { o.Nodes[0].Control = jobs.Control{Paused: true, By: "Ann"} },
			jobs.LevelOK, well + " Node worker1 is paused by Ann.", "/nodes/worker1",
		},
		"a job in quarantine": {
			func(o *jobs.Overview) { o.Nodes[0].Vitals.Quarantine = &jobs.Quarantine{Job: "seven", Running: true} },
			jobs.LevelOK, well + " Node worker1 runs job seven alone, which was lost with its nodes before.", "/nodes/worker1",
		},
		"queue behind jobs in quarantine": {
			func(o *jobs.Overview) {
				queue(5*time.Hour, "forecast")(o)
				for i := range o.Nodes {
					o.Nodes[i].Vitals = &jobs.Vitals{Quarantine: &jobs.Quarantine{Job: fmt.Sprint(i)}}
				}
			}, jobs.LevelOK,
			"All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued. Node worker1 is to run job 0 alone, which was lost with its nodes before. Node worker2 is to run job 1 alone, which was lost with its nodes before.",
			"/nodes/worker1",
		},
		"drained": {
			func(o *jobs.Overview) { o.Nodes[0].Drained = true }, jobs.LevelOK, well + " Node worker1 is drained: it takes no new work.", "/nodes/worker1",
		},
	} {
		v := judge(pool(test.change))
		path := ""
		if len(v.Findings) > 0 {
			path = v.Findings[0].Path
		}
		if v.Level != test.level || v.Text != test.text || path != test.path {
			t.Errorf("%s: %+v\nwant %s %q %s", name, v, test.level, test.text, test.path)
		}
	}
}

func TestAVerdictIsBounded(t *testing.T) {
	t.Parallel()
	v := judge(pool(func(o *jobs.Overview) {
		n := o.Nodes[0]
		n.Vitals = &jobs.Vitals{Disks: []jobs.Disk{{Path: "/", Total: 100, Floor: 10}}}
		for range 1000 {
			o.Nodes = append(o.Nodes, n)
		}
	}))
	if len(v.Findings) != maxFindings || !strings.HasSuffix(v.Text, "And 999 more faults.") {
		t.Errorf("%d findings: %s", len(v.Findings), v.Text)
	}
}

func TestPlacesSayWhyAJobWaits(t *testing.T) {
	t.Parallel()
	beat := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	zero, two := 0, 2
	node := func(name string, f func(*jobs.Node)) jobs.Node {
		n := jobs.Node{Name: name, Alive: true, Slots: 1, Installed: []jobs.Installed{{Name: "forecast"}}, Seen: beat}
		if f != nil {
			f(&n)
		}
		return n
	}
	busy := func(n *jobs.Node) { n.Running = 1 }
	dead := func(n *jobs.Node) { n.Alive = false }
	left := func(n *jobs.Node) { n.Alive, n.Beat, n.Left = false, time.Time{}, beat }
	for name, test := range map[string]struct {
		nodes  []jobs.Node
		before int
		known  bool
		want   string
	}{
		"none": {nil, 0, true, `no node that is up has the program "forecast"`},
		"other program": {
			[]jobs.Node{{Name: "a", Alive: true, Slots: 1, Installed: []jobs.Installed{{Name: "other"}}}},
			0, true, `no node that is up has the program "forecast"`,
		},
		"dead": {
			[]jobs.Node{node("a", dead), node("b", left)},
			0, true, `no node that is up has the program "forecast"; a (silent since 2026-11-22T12:00:00Z), b (ended at 2026-11-22T12:00:00Z) had it`,
		},
		"older life": {[]jobs.Node{node("a", nil), node("a", dead)}, 0, true, "is about to start"},
		"free":       {[]jobs.Node{node("a", nil)}, 0, true, "is about to start"},
		"ahead":      {[]jobs.Node{node("a", nil)}, 3, true, "3 jobs come before it"},
		"far ahead":  {[]jobs.Node{node("a", nil)}, 0, false, "many jobs come before it"},
		"only slot":  {[]jobs.Node{node("a", busy)}, 0, true, "the only slot of a is busy"},
		"all slots":  {[]jobs.Node{node("a", busy), node("b", busy)}, 1, true, "all 2 slots of a, b are busy; 1 job comes before it"},
		"many nodes": {
			[]jobs.Node{node("a", busy), node("b", busy), node("c", busy), node("d", busy), node("e", busy), node("f", busy)},
			0, true, "all 6 slots of the 6 nodes that have the program are busy",
		},
		"more slots than set":  {[]jobs.Node{node("a", func(n *jobs.Node) { n.Running, n.Control.Slots = 1, &two })}, 0, true, "is about to start"},
		"fewer slots than set": {[]jobs.Node{node("a", func(n *jobs.Node) { n.Control.Slots = &zero })}, 0, true, `no node that has the program "forecast" takes work: a has no slots`},
		"paused and drained": {
			[]jobs.Node{node("a", func(n *jobs.Node) { n.Control.Paused = true }), node("b", func(n *jobs.Node) { n.Drained = true })},
			0, true, `no node that has the program "forecast" takes work: a is paused, b is drained`,
		},
		"one of them drained": {[]jobs.Node{node("a", func(n *jobs.Node) { n.Drained = true }), node("b", busy)}, 0, true, "the only slot of b is busy"},
		"disk": {
			[]jobs.Node{node("a", func(n *jobs.Node) {
				n.Vitals = &jobs.Vitals{Disks: []jobs.Disk{{Path: "/ok", Total: 100, Free: 50, Floor: 10}, {Path: "/data", Total: 100, Free: 9, Floor: 10}}}
			})}, 0, true, `no node that has the program "forecast" takes work: a has too little room on its disk /data`,
		},
	} {
		if got := placesOf(test.nodes, "forecast").reason("forecast", test.before, test.known); got != test.want {
			t.Errorf("%s: %q\nwant %q", name, got, test.want)
		}
	}
}
