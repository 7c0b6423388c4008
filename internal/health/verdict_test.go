package health

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// pool is an overview of three nodes in good order, changed by f.
func pool(f func(*api.Overview)) api.Overview {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	o := api.Overview{At: at, Slots: 8, Busy: 6, LastHour: map[jobs.State]int64{}}
	for _, name := range []string{"worker1", "worker2", "worker3"} {
		o.Nodes = append(o.Nodes, api.Node{
			Name: name, Alive: true, Slots: 4, Running: 2, Beat: at.Add(-time.Hour), // on a clock that is off
			Seen: at.Add(-time.Second), Lapses: at.Add(19 * time.Second),
			Installed: []api.Installed{{Name: "forecast"}},
			Vitals:    &api.Vitals{Disks: []api.Disk{{Path: "/data", Total: 100e9, Free: 50e9, Floor: 1e9}}},
		})
	}
	o.Servers = []api.Server{{Addr: "127.0.0.1:11300", OK: true}}
	if f != nil {
		f(&o)
	}
	return o
}

func TestJudge(t *testing.T) {
	t.Parallel()
	well := "All is well: 3 nodes, 6 of 8 slots busy."
	silentFor := func(n int, d time.Duration, alive bool) func(*api.Overview) {
		return func(o *api.Overview) {
			o.Nodes[n].Seen, o.Nodes[n].Lapses, o.Nodes[n].Alive = o.At.Add(-d), o.At.Add(20*time.Second-d), alive
		}
	}
	queue := func(age time.Duration, program string) func(*api.Overview) {
		return func(o *api.Overview) {
			o.Queue.Queued = 1200
			o.Queue.Programs = []api.ProgramQueue{{Program: program, Queued: 1200, Oldest: o.At.Add(-time.Hour), Due: o.At.Add(-age)}}
		}
	}
	scheduled := func(o *api.Overview, n int64) {
		o.Queue.Scheduled, o.Queue.Programs[0].Scheduled, o.Queue.Programs[0].Due = n, n, time.Time{}
	}
	ended := func(succeeded, failed int64) func(*api.Overview) {
		return func(o *api.Overview) {
			o.LastHour = map[jobs.State]int64{jobs.Succeeded: succeeded, jobs.Failed: failed, jobs.Cancelled: 99}
		}
	}
	for name, test := range map[string]struct {
		change func(*api.Overview)
		level  api.Level
		text   string
		path   string // of the first finding
	}{
		"all well":      {nil, api.LevelOK, well, ""},
		"nothing":       {func(o *api.Overview) { *o = api.Overview{} }, api.LevelWarn, "No node is up.", "/nodes"},
		"late":          {silentFor(2, 12*time.Second, true), api.LevelWarn, "One node is late: worker3, its 2 jobs move in 8 s.", "/nodes/worker3"},
		"late, idle":    {func(o *api.Overview) { silentFor(2, 13*time.Second, true)(o); o.Nodes[2].Running = 0 }, api.LevelWarn, "One node is late: worker3, silent for 13 s.", "/nodes/worker3"},
		"another zone":  {func(o *api.Overview) { o.Nodes[2].Beat = o.At.Add(-3 * time.Hour) }, api.LevelOK, well, ""},
		"a clock ahead": {func(o *api.Overview) { o.Nodes[2].Beat = o.At.Add(3 * time.Hour) }, api.LevelOK, well, ""},
		"a long lease": {
			func(o *api.Overview) {
				silentFor(2, 30*time.Second, true)(o)
				o.Nodes[2].Lapses = o.At.Add(time.Minute)
			}, api.LevelOK, well, "",
		},
		"a long lease, late": {
			func(o *api.Overview) {
				silentFor(2, time.Minute, true)(o)
				o.Nodes[2].Lapses = o.At.Add(30 * time.Second)
			},
			api.LevelWarn, "One node is late: worker3, its 2 jobs move in 30 s.", "/nodes/worker3",
		},
		"a short lease": {
			func(o *api.Overview) {
				silentFor(2, 4*time.Second, true)(o)
				o.Nodes[2].Lapses = o.At.Add(time.Second)
			},
			api.LevelWarn, "One node is late: worker3, its 2 jobs move in 1 s.", "/nodes/worker3",
		},
		"a need that nobody has put": {
			func(o *api.Overview) {
				o.Queue.Missing = &api.MissingNeeds{Count: 3, Job: "01990000-0000-7000-8000-000000000001", Need: "01990000-0000-7000-8000-000000000002", Since: o.At}
			}, api.LevelWarn,
			"Job " + text.ShortID("01990000-0000-7000-8000-000000000001") + " needs job 01990000-0000-7000-8000-000000000002, which nobody has put since 2026-11-22T12:00:00Z; 2 more needs are missing so.",
			"/jobs/01990000-0000-7000-8000-000000000001",
		},
		"interrupted again and again": {
			func(o *api.Overview) {
				o.Queue.Interrupted = &api.Interrupted{Count: 2, Job: "01990000-0000-7000-8000-000000000001", Times: 5, Longest: 7200}
			}, api.LevelWarn,
			"Restarts of nodes have interrupted job " + text.ShortID("01990000-0000-7000-8000-000000000001") + " 5 times, the longest run after 2 h, and 1 more job three times or more: raise RUNNERBEAN_SHUTDOWN_GRACE, or drain nodes before a restart.",
			"/jobs/01990000-0000-7000-8000-000000000001",
		},
		"ahead": {silentFor(2, -time.Minute, true), api.LevelOK, well, ""},
		"dead":  {silentFor(0, 3*time.Minute, false), api.LevelBad, "One node is dead: worker1, silent for 3 min.", "/nodes/worker1"},
		"two dead": {
			func(o *api.Overview) { silentFor(0, time.Hour, false)(o); silentFor(1, time.Hour, false)(o) },
			api.LevelBad, "2 nodes are dead: worker1, worker2.", "/nodes",
		},
		"dead and late": {
			func(o *api.Overview) { silentFor(0, 12*time.Second, true)(o); silentFor(1, time.Minute, false)(o) },
			api.LevelBad, "One node is dead: worker2, silent for 1 min. And 1 more fault.", "/nodes/worker2",
		},
		"hostile name": {
			func(o *api.Overview) { silentFor(0, time.Minute, false)(o); o.Nodes[0].Name = "a\u202e\x1b/.." },
			api.LevelBad, `One node is dead: a\u{202e}\u{1b}/.., silent for 1 min.`, "/nodes/a%E2%80%AE%1B%2F..",
		},
		"beanstalkd": {
			func(o *api.Overview) { o.Servers[0].OK = false }, api.LevelBad, "beanstalkd at 127.0.0.1:11300 does not answer.", "",
		},
		"paused tubes": {
			func(o *api.Overview) {
				o.Servers[0].Paused = []api.PausedTube{{Tube: "r/run/x/cat", Addr: "127.0.0.1:11300", Program: "cat", Until: o.At}, {Tube: "r/inbox", Until: o.At}}
			}, api.LevelWarn,
			"beanstalkd at 127.0.0.1:11300 gives out no jobs of cat until 2026-11-22T12:00:00Z: somebody has paused the tube r/run/x/cat. The nodes resume it. And 1 more fault.", "",
		},
		"documents on an inbox that is not read": {
			func(o *api.Overview) { o.Servers[0].UnreadInbox = 2 }, api.LevelWarn,
			"beanstalkd at 127.0.0.1:11300 has 2 messages on the common inbox, from which no node takes: put them on the inbox of a node, or set RUNNERBEAN_INBOX=shared.", "",
		},
		"documents for a node that is not up": {
			func(o *api.Overview) { o.Servers[0].Orphaned = []api.OrphanedInbox{{Node: "old\u202e", Messages: 2}} }, api.LevelWarn,
			`beanstalkd at 127.0.0.1:11300 has 2 messages on the inbox of the node old\u{202e}, which is not up: start it, or move them with runnerbean inbox move old\u{202e}.`, "",
		},
		"documents for two nodes that are not up": {
			func(o *api.Overview) {
				o.Servers[0].Orphaned = []api.OrphanedInbox{{Node: "old1", Messages: 2}, {Node: "old2", Messages: 1}}
			}, api.LevelWarn,
			"beanstalkd at 127.0.0.1:11300 has 3 messages on the inboxes of nodes that are not up (old1, old2): start them, or move them with runnerbean inbox move old1.", "",
		},
		"shared inbox": {
			func(o *api.Overview) { o.Servers[0].Shared = []api.SharedInbox{{Text: "Another ledger also takes"}} }, api.LevelWarn, "Another ledger also takes.", "",
		},
		"one of two": {
			func(o *api.Overview) { o.Servers = append(o.Servers, api.Server{Addr: "b:1"}) }, api.LevelWarn, "beanstalkd at b:1 does not answer.", "",
		},
		"drain mode": {
			func(o *api.Overview) { o.Servers[0].Draining = true }, api.LevelWarn, "beanstalkd at 127.0.0.1:11300 is in drain mode: it takes no messages.", "",
		},
		"buried": {
			func(o *api.Overview) { o.Servers[0].Buried = 1000 }, api.LevelWarn, "beanstalkd at 127.0.0.1:11300 has 1,000 buried messages.", "",
		},
		"overdue": {
			func(o *api.Overview) { o.Servers[0].Overdue = 10 }, api.LevelWarn, "beanstalkd at 127.0.0.1:11300 has 10 overdue messages.", "",
		},
		"few buried": {func(o *api.Overview) { o.Servers[0].Buried = 2 }, api.LevelOK, well, ""},
		"disk nearly full": {
			func(o *api.Overview) { o.Nodes[1].Vitals.Disks[0].Free = 1500e6 }, api.LevelWarn, "A disk of worker2 is nearly full: 1.4 GiB free at /data.", "/nodes/worker2",
		},
		"disk full": {
			func(o *api.Overview) { o.Nodes[1].Vitals.Disks[0].Free = 500e6 },
			api.LevelBad, "A disk of worker2 is full: 477 MiB free at /data, and it takes no work below 954 MiB.", "/nodes/worker2",
		},
		"disk with room inside the ledger's file": {func(o *api.Overview) {
			d := &o.Nodes[1].Vitals.Disks[0]
			d.Free, d.Reusable = 700e6, 600e6
		}, api.LevelWarn, "A disk of worker2 is nearly full: 668 MiB free and 572 MiB inside the ledger's file at /data.", "/nodes/worker2"},
		"disk full beside the ledger": {func(o *api.Overview) {
			d := &o.Nodes[1].Vitals.Disks[0]
			d.Free, d.Reusable = 400e6, 5e9
		}, api.LevelBad, "A disk of worker2 is full: 382 MiB free and 4.7 GiB inside the ledger's file at /data, and it takes no work below 954 MiB, and half of that must be free.", "/nodes/worker2"},
		"queue that moves": {queue(time.Minute, "forecast"), api.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued.", ""},
		"queue that is for tomorrow": {
			func(o *api.Overview) { queue(time.Hour, "forecast")(o); scheduled(o, 1200) },
			api.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs scheduled.", "",
		},
		"some are for tomorrow": {
			func(o *api.Overview) {
				queue(5*time.Minute, "forecast")(o)
				due := o.Queue.Programs[0].Due
				scheduled(o, 1199)
				o.Queue.Programs[0].Due = due
			}, api.LevelWarn, "1 job of forecast is queued, the oldest for 5 min, while 6 of 12 slots are idle.", "/programs/forecast",
		},
		"for tomorrow, and no node has it yet": {
			func(o *api.Overview) { queue(time.Hour, "rare")(o); scheduled(o, 1200) },
			api.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs scheduled.", "",
		},
		"for tomorrow, and no slots": {
			func(o *api.Overview) { queue(time.Hour, "forecast")(o); scheduled(o, 1200); o.Slots, o.Busy = 0, 0 },
			api.LevelOK, "All is well: 3 nodes, 0 of 0 slots busy, 1,200 jobs scheduled.", "",
		},
		"queue that does not": {
			queue(5*time.Minute, "forecast"), api.LevelWarn,
			"1,200 jobs of forecast are queued, the oldest for 5 min, while 6 of 12 slots are idle.", "/programs/forecast",
		},
		"old queue, all busy": {
			func(o *api.Overview) {
				queue(5*time.Hour, "forecast")(o)
				for i := range o.Nodes {
					o.Nodes[i].Running = 4
				}
			}, api.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued.", "",
		},
		"no node has it": {queue(time.Second, "rare"), api.LevelWarn, "1,200 jobs wait for the program rare, which no node that takes work has.", "/programs/rare"},
		"no slots": {
			func(o *api.Overview) { queue(time.Second, "forecast")(o); o.Slots = 0 }, api.LevelBad, "No node takes work, and 1,200 jobs wait.", "/jobs?state=queued",
		},
		"failures":     {ended(16, 4), api.LevelOK, well, ""},
		"many":         {ended(75, 25), api.LevelWarn, "25 of 100 jobs failed in the last hour.", "/jobs?state=failed"},
		"most":         {ended(1, 5), api.LevelBad, "5 of 6 jobs failed in the last hour.", "/jobs?state=failed"},
		"few of many":  {ended(1000, 100), api.LevelOK, well, ""},
		"queue closed": {func(o *api.Overview) { o.Queue.Drained = &api.Drain{} }, api.LevelOK, well + " The queue is drained: no new job is accepted.", ""},
		"paused": {
			func(o *api.Overview) { o.Nodes[0].Control = api.Control{Paused: true, By: "Ann"} },
			api.LevelOK, well + " Node worker1 is paused by Ann.", "/nodes/worker1",
		},
		"troubled": {
			func(o *api.Overview) {
				queue(5*time.Hour, "forecast")(o)
				o.Nodes[0].Vitals.Trouble = &api.Trouble{Reason: "no scratch folder", Faults: 3}
				o.Nodes = o.Nodes[:1]
			},
			api.LevelBad,
			"Node worker1 is troubled: 3 jobs in a row failed by a fault of its own, and it tries one now and then: no scratch folder. And 1 more fault.",
			"/nodes/worker1",
		},
		"a log that loses lines": {
			func(o *api.Overview) { o.Nodes[1].Vitals.LogDropped = 1200 }, api.LevelWarn,
			"Node worker2 loses its log: 1,200 lines were dropped since its start. Look at what reads its standard error.", "/nodes/worker2",
		},
		"slots beyond the limits": {
			func(o *api.Overview) {
				queue(5*time.Hour, "forecast")(o)
				many := 40
				for i := range o.Nodes {
					o.Nodes[i].Control.Slots, o.Nodes[i].Vitals.MaxSlots = &many, 2
				}
			}, api.LevelOK, "All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued.", "",
		},
		"a job in quarantine": {
			func(o *api.Overview) { o.Nodes[0].Vitals.Quarantine = &api.Quarantine{Job: "seven", Running: true} },
			api.LevelOK, well + " Node worker1 runs job seven alone, which was lost with its nodes before.", "/nodes/worker1",
		},
		"queue behind jobs in quarantine": {
			func(o *api.Overview) {
				queue(5*time.Hour, "forecast")(o)
				for i := range o.Nodes {
					o.Nodes[i].Vitals = &api.Vitals{Quarantine: &api.Quarantine{Job: fmt.Sprint(i)}}
				}
			}, api.LevelOK,
			"All is well: 3 nodes, 6 of 8 slots busy, 1,200 jobs queued. Node worker1 is to run job 0 alone, which was lost with its nodes before. Node worker2 is to run job 1 alone, which was lost with its nodes before.",
			"/nodes/worker1",
		},
		"drained": {
			func(o *api.Overview) { o.Nodes[0].Drained = true }, api.LevelOK, well + " Node worker1 is drained: it takes no new work.", "/nodes/worker1",
		},
	} {
		v := VerdictOf(pool(test.change))
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
	v := VerdictOf(pool(func(o *api.Overview) {
		n := o.Nodes[0]
		n.Vitals = &api.Vitals{Disks: []api.Disk{{Path: "/", Total: 100, Floor: 10}}}
		for range 1000 {
			o.Nodes = append(o.Nodes, n)
		}
	}))
	if len(v.Findings) != maxFindings || !strings.HasSuffix(v.Text, "And 999 more faults.") {
		t.Errorf("%d findings: %s", len(v.Findings), v.Text)
	}
}
