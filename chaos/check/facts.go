package check

import (
	"cmp"
	"math"
	"net/http"
	"slices"
	"strings"
)

// facts are the events of a history, grouped for the rules.
type facts struct {
	scenario  string
	target    int
	end       bool
	jobs      map[string]*job
	order     []*job
	polls     int // with an answer
	processes map[string]*processLife
	kills     []Event // with deletions of the binlog
	// programKills are kills of processes of programs.
	programKills []Event
	inboxes      []Event
	tubes        map[string]float64
	died         []Event
	cuts         int
	clocks       int
	measures     []Event
	kept         kept
}

// job has the events of one job.
type job struct {
	id      string
	posted  bool
	puts    []Event // that beanstalkd acknowledged
	known   bool    // a result URL has shown the job
	sums    []string
	success int64 // time of the first answer that said so; 0 for none
	polls   []Event
	runs    []run
	deleted []Event
	life    life
}

// run is one run of a job's program. Its time ran is 0 if it did not reach its
// end.
type run struct {
	node       string
	attempt    int
	pid        int // of a stream program; 0 for others
	began, ran int64
	failed     bool // it asked for another attempt by its exit code
}

// processLife has the events of one process.
type processLife struct {
	slots  int
	starts []int64
	// outages are the times in which it was dead or stopped: from the signal
	// until it answered or continued.
	outages []outage
}

type outage struct {
	from, to int64
	stopped  bool
}

const never = math.MaxInt64

func collect(events []Event) *facts {
	f := &facts{jobs: map[string]*job{}, processes: map[string]*processLife{}, tubes: map[string]float64{}}
	f.kept.backups = map[string]Event{}
	for _, e := range events {
		f.kept.clock.add(e)
	}
	for _, e := range events {
		f.add(e)
	}
	for _, j := range f.order {
		slices.SortStableFunc(j.runs, func(a, b run) int { return cmp.Compare(a.began, b.began) })
	}
	return f
}

func (f *facts) add(e Event) {
	switch e.What {
	case Scenario:
		f.scenario = e.Who
	case Target:
		f.target = int(e.N)
	case End:
		f.end = true
	case Post, Put, Get, Run, Ran, Deleted:
		f.job(e.Job).add(e, f)
		f.kept.follow(e.Job, &f.job(e.Job).life, e)
	case Meant, Remove, Parts:
		f.kept.follow(e.Job, &f.job(e.Job).life, e)
	case Prune:
		f.kept.prunes = append(f.kept.prunes, prune{Event: e, until: never})
	case Backup:
		f.kept.backups[e.Who] = e
	case Restore:
		f.restore(e)
	case Start, Up, Kill, Stop, Continue, Died:
		f.process(e)
	case Wipe:
		f.kills = append(f.kills, e)
	case KillProgram:
		f.programKills = append(f.programKills, e)
	case Inbox:
		f.inboxes = append(f.inboxes, e)
	case Tube:
		f.tubes[e.Who] = e.N
	case Cut:
		f.cuts++
	case Clock:
		f.clocks++
	case Measure:
		f.measures = append(f.measures, e)
	}
}

// restore sets back each job to what it was in a backup.
func (f *facts) restore(e Event) {
	b, ok := f.kept.backups[e.Who]
	if !ok {
		return
	}
	f.kept.void(b.T, e.T)
	for _, j := range f.order {
		if !f.kept.restore(&j.life, b.T, e.T) {
			known := j.life.accepted > 0
			*j = job{id: j.id, posted: j.posted && known, known: known, life: j.life, runs: j.runs}
		}
	}
}

func (f *facts) job(id string) *job {
	j, ok := f.jobs[id]
	if !ok {
		j = &job{id: id}
		f.jobs[id] = j
		f.order = append(f.order, j)
	}
	return j
}

func (j *job) add(e Event, f *facts) {
	switch e.What {
	case Post:
		j.posted = j.posted || e.Status == 201 || e.Status == 200
	case Put:
		if e.Status == 0 {
			j.puts = append(j.puts, e)
		}
	case Get:
		j.poll(e, f)
	case Run:
		j.runs = append(j.runs, run{node: e.Who, attempt: e.Attempt, pid: int(e.N), began: e.T})
	case Ran:
		j.ran(e)
	case Deleted:
		j.deleted = append(j.deleted, e)
	}
}

func (j *job) poll(e Event, f *facts) {
	if e.Status == 0 {
		return
	}
	f.polls++
	j.polls = append(j.polls, e)
	if e.Status == 200 || e.Status == 202 {
		j.known = true
	}
	if e.State != "succeeded" {
		return
	}
	if answered := e.T + e.Took; j.success == 0 || answered < j.success {
		j.success = answered
	}
	if !slices.Contains(j.sums, e.Sum) {
		j.sums = append(j.sums, e.Sum)
	}
}

// ran sets the end of the run that belongs to the event.
func (j *job) ran(e Event) {
	for i := len(j.runs) - 1; i >= 0; i-- {
		if r := &j.runs[i]; r.attempt == e.Attempt && r.node == e.Who && r.ran == 0 {
			r.ran, r.failed = e.T, e.Status != 0
			return
		}
	}
}

func (f *facts) process(e Event) {
	p, ok := f.processes[e.Who]
	if !ok {
		p = &processLife{}
		f.processes[e.Who] = p
	}
	switch e.What {
	case Start:
		p.slots = int(e.N)
		p.starts = append(p.starts, e.T)
	case Kill, Died, Stop:
		p.outages = append(p.outages, outage{from: e.T, to: never, stopped: e.What == Stop})
		if e.What == Kill {
			f.kills = append(f.kills, e)
		}
		if e.What == Died {
			f.died = append(f.died, e)
		}
	case Up:
		p.endOutages(e.T, false)
	case Continue:
		p.endOutages(e.T, true)
	}
}

// endOutages ends the open outages of one kind.
func (p *processLife) endOutages(t int64, stopped bool) {
	for i := range p.outages {
		if s := &p.outages[i]; s.to == never && s.stopped == stopped {
			s.to = t
		}
	}
}

// Database is the name of the process that has the ledger, if it is in PostgreSQL.
const Database = "postgres"

// Balancer is the name of the process that passes requests on to nodes.
const Balancer = "balancer"

// noNode reports whether a balancer says that it has no answer of a node, or passes on that
// what all nodes need is away. How long that may last is measured by the scenario.
func noNode(e Event) bool {
	return e.Who == Balancer && (e.Status == http.StatusBadGateway || e.Status == http.StatusServiceUnavailable || e.Status == http.StatusGatewayTimeout)
}

// awaySlack is how long after its return a node may still answer that the database is away, in
// nanoseconds: its last try may have been before.
const awaySlack = int64(1e9)

// ledgerAway reports whether an answer says that the ledger does not answer, and that was so
// between the request and the answer.
func (f *facts) ledgerAway(e Event) bool {
	p := f.processes[Database]
	return e.Status == http.StatusServiceUnavailable && p != nil && slices.ContainsFunc(p.outages, func(o outage) bool {
		return o.from <= e.T+e.Took && (o.to == never || e.T <= o.to+awaySlack)
	})
}

// node reports whether the process is a node. Servers have no slots.
func (p *processLife) node() bool { return p.slots > 0 }

// isBeanstalkd reports whether a name is that of a beanstalkd.
func isBeanstalkd(name string) bool { return strings.HasPrefix(name, "beanstalkd") }
