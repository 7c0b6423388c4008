package ledger

import (
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/checkpoints"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

// model is the states of jobs and the rules for their changes, without a database.
type model struct {
	now  time.Time
	jobs map[string]*modelJob
	ids  []string // in the order of acceptance
	beat map[string]time.Time
	// deleted are the states that deleted jobs had.
	deleted map[string]jobs.State
}

// state returns the state of a job, also of a deleted one, and "" for an unknown one.
func (m *model) state(id string) jobs.State {
	if j := m.jobs[id]; j != nil {
		return j.state
	}
	return m.deleted[id]
}

type modelJob struct {
	id                 string
	document           string // which of several documents under this id
	state              jobs.State
	attempt            int
	spent, crashes     int
	alone              int  // losses in quarantine
	quarantined        bool // the newest attempt
	asked              Verb
	faulty             bool
	instance           string
	notBefore, expires time.Time
	startAfter         time.Time
	needs              []string
	anyEnd             bool            // of its needs will do
	met                map[string]bool // needs that have ended while it waited, if any end will do
	accepted           time.Time
	unmet              []string        // needs that had not succeeded when it ended before it started
	missing            map[string]bool // needs that were unknown when it was accepted
	outcomes           []jobs.Outcome  // of its attempts; "" runs
}

func (j *modelJob) needsFailed() string {
	if j.anyEnd {
		return jobs.NeedsRun
	}
	return jobs.NeedsFail
}

// isMet reports whether a job waits for a need no more.
func (m *model) isMet(j *modelJob, need string) bool {
	return m.state(need) == jobs.Succeeded || j.met[need]
}

// meet notes the needs that have ended of a job for which any end will do.
func (m *model) meet(j *modelJob) {
	for _, n := range j.needs {
		if j.anyEnd && m.state(n).Final() {
			j.met[n] = true
		}
	}
}

func (m *model) alive(instance string) bool {
	b, ok := m.beat[instance]
	return ok && m.now.Sub(b) < defaultLease
}

// accept adds a job. fault means that its document has one.
func (m *model) accept(j *modelJob, fault bool) {
	for _, o := range m.jobs {
		delete(o.missing, j.id)
	}
	j.state, j.accepted, j.missing, j.notBefore, j.met = jobs.Queued, m.now, map[string]bool{}, j.startAfter, map[string]bool{}
	m.jobs[j.id] = j
	m.ids = append(m.ids, j.id)
	if fault {
		j.state, j.faulty = jobs.Failed, true
		m.settle()
		return
	}
	m.meet(j)
	for _, n := range j.needs {
		if m.state(n) == "" {
			j.missing[n] = true
		}
		if !m.isMet(j, n) {
			j.state = jobs.Waiting
		}
	}
	if j.state == jobs.Waiting && m.reaches(j.id, j.id, map[string]bool{}) {
		j.state = jobs.Failed
	}
	m.settle()
}

// reaches follows the needs of waiting jobs.
func (m *model) reaches(from, to string, seen map[string]bool) bool {
	j := m.jobs[from]
	if j == nil || j.state != jobs.Waiting || seen[from] {
		return false
	}
	seen[from] = true
	return slices.ContainsFunc(j.needs, func(n string) bool { return !m.isMet(j, n) && (n == to || m.reaches(n, to, seen)) })
}

// settle applies every end to the jobs that need it.
func (m *model) settle() {
	for again := true; again; {
		again = false
		for _, j := range m.jobs {
			if j.state == jobs.Waiting {
				m.meet(j)
				j.state = m.waiting(j)
				again = again || j.state != jobs.Waiting
			}
		}
	}
	for _, j := range m.jobs {
		if j.state.Final() && j.attempt == 0 && !j.faulty && j.unmet == nil {
			j.unmet = []string{}
			for _, n := range j.needs {
				if !m.isMet(j, n) {
					j.unmet = append(j.unmet, n)
				}
			}
		}
	}
}

// revive queues the dependents of a job again whose failure byNeeds accepts and whose needs
// have not failed, and theirs in turn. It returns their ids.
func (m *model) revive(j *modelJob, byNeeds map[string]bool) (revived []string) {
	for work := []string{j.id}; len(work) > 0; work = work[1:] {
		for _, id := range m.ids {
			d := m.jobs[id]
			if d.state == jobs.Failed && byNeeds[id] && slices.Contains(d.unmet, work[0]) && !m.blocked(d) && m.again(d) == nil {
				revived, work = append(revived, id), append(work, id)
			}
		}
	}
	return revived
}

// blocked reports whether an unmet need of a job has failed or was cancelled.
func (m *model) blocked(j *modelJob) bool {
	return slices.ContainsFunc(j.unmet, func(n string) bool { return m.state(n) == jobs.Failed || m.state(n) == jobs.Cancelled })
}

// needed reports whether a job is an unmet need.
func (m *model) needed(j *modelJob) bool {
	for _, d := range m.jobs {
		if slices.Contains(d.unmet, j.id) {
			return true
		}
	}
	return false
}

// waiting returns the state that a waiting job should have.
func (m *model) waiting(j *modelJob) jobs.State {
	state := jobs.Queued
	for _, n := range j.needs {
		switch need := m.state(n); {
		case m.isMet(j, n):
		case !need.Final():
			state = jobs.Waiting
		default:
			return jobs.Failed
		}
	}
	return state
}

// claim returns whether the claim is granted, and whether the job runs under a
// live instance.
func (m *model) claim(j *modelJob, instance string, alone bool) (ok, alive bool) {
	switch {
	case j.state == jobs.Running:
		return false, m.alive(j.instance)
	case j.state != jobs.Queued:
		return false, false
	case m.expired(j):
		j.state = jobs.Failed
		m.settle()
		return false, false
	case j.notBefore.After(m.now):
		return false, false
	case j.crashes >= QuarantineAfter && !alone:
		return false, false
	}
	j.state, j.instance, j.quarantined = jobs.Running, instance, j.crashes >= QuarantineAfter
	j.attempt++
	j.outcomes = append(j.outcomes, "")
	return true, false
}

func (m *model) expired(j *modelJob) bool { return !j.expires.IsZero() && !j.expires.After(m.now) }

// finish ends the running attempt.
func (m *model) finish(j *modelJob, e Ending) {
	j.outcomes[len(j.outcomes)-1] = e.Outcome
	if Spends(e.Outcome) {
		j.spent++
	}
	if e.Outcome == jobs.OutcomeLost {
		j.crashes++
		j.alone += int(engine.Bool(j.quarantined))
	}
	j.state, j.notBefore = e.State, e.NotBefore
	switch {
	case j.asked == VerbReset && e.State != jobs.Succeeded:
		j.state, j.notBefore, j.spent, j.crashes, j.alone = jobs.Queued, time.Time{}, 0, 0, 0
	case j.asked == VerbReset:
		j.spent, j.crashes, j.alone = 0, 0, 0
	case j.asked != "" && e.State == jobs.Queued:
		j.state, j.notBefore = jobs.Cancelled, time.Time{}
	}
	j.asked, j.notBefore = "", engine.Later(j.notBefore, j.startAfter)
	m.settle()
}

// act applies a verb or returns the refusal.
func (m *model) act(verb Verb, j *modelJob) error {
	switch {
	case verb == VerbDelete && !j.state.Final():
		return ErrNotEnded
	case verb == VerbDelete:
		delete(m.jobs, j.id)
		m.ids = slices.DeleteFunc(m.ids, func(id string) bool { return id == j.id })
		m.deleted[j.id] = j.state
	case j.state == jobs.Succeeded:
		return ErrFinal
	case j.state.Final() && (verb == VerbRetry || verb == VerbReset):
		return m.again(j)
	case j.state.Final():
		return ErrFinal
	case verb == VerbRetry:
		return ErrNotEnded
	case verb == VerbCheckpoint && j.state == jobs.Running:
		return checkpoints.ErrUnable // no program of the model saves on request
	case j.state == jobs.Running:
		if verb == VerbStop {
			verb = VerbCancel
		}
		if j.asked != VerbTerminate || verb != VerbCancel {
			j.asked = verb
		}
	case verb == VerbStop, verb == VerbCheckpoint:
		return ErrNotRunning
	case verb == VerbReset:
		j.spent, j.crashes, j.alone, j.notBefore = 0, 0, 0, j.startAfter
	default:
		j.state = jobs.Cancelled
		m.settle()
	}
	return nil
}

func (m *model) again(j *modelJob) error {
	state := jobs.Queued
	for _, n := range j.needs {
		switch s := m.state(n); {
		case j.attempt > 0: // it has started
		case s == jobs.Succeeded || s.Final() && j.anyEnd:
		case s == "" || s.Final():
			return ErrNeeds
		default:
			state = jobs.Waiting
		}
	}
	j.met = map[string]bool{}
	m.meet(j)
	j.state, j.spent, j.crashes, j.alone, j.faulty, j.missing, j.unmet = state, 0, 0, 0, false, nil, nil
	if j.notBefore = j.startAfter; m.expired(j) {
		j.expires = time.Time{}
	}
	return nil
}

// lost returns the running jobs of dead nodes.
func (m *model) lost() (list []*modelJob) {
	for _, id := range m.ids {
		if j := m.jobs[id]; j.state == jobs.Running && !m.alive(j.instance) {
			list = append(list, j)
		}
	}
	return list
}

func (m *model) lose(j *modelJob) {
	e := Ending{Outcome: jobs.OutcomeLost, State: jobs.Queued}
	if j.asked == "" && j.quarantined && j.alone+1 >= QuarantineLimit {
		e.State = jobs.Failed
	}
	m.finish(j, e)
}

// expire fails expired jobs and returns their ids.
func (m *model) expire() (list []string) {
	var late []*modelJob
	for _, id := range m.ids {
		j := m.jobs[id]
		idle := j.state == jobs.Queued || j.state == jobs.Waiting
		never := j.state == jobs.Waiting && len(j.missing) > 0 && m.now.Sub(j.accepted) >= missingLimit
		if idle && m.expired(j) || never {
			late = append(late, j)
			list = append(list, id)
		}
	}
	for _, j := range late {
		j.state = jobs.Failed
	}
	m.settle()
	return list
}
