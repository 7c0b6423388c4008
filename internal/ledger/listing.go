package ledger

import (
	"database/sql"
	"slices"

	"github.com/runnerbean/runnerbean/jobs"
)

// Every way to a page is a walk along an index from a place; only the running
// jobs, which are few, are sorted.
const (
	jobsAfter = " AND (accepted, id) < (?, ?) ORDER BY accepted DESC, id DESC LIMIT ?"
	place     = "SELECT accepted, id, program, state, node FROM jobs WHERE "
)

var (
	qWalkAll     = newQuery(place + "1 = 1" + jobsAfter)
	qWalkNode    = newQuery(place + "node <> '' AND node = ?" + jobsAfter)
	qWalkProgram = newQuery(place + "state NOT IN ('queued', 'running') AND program = ? AND state = ?" + jobsAfter)
	// Arithmetic keeps the planner from walking all jobs in order to save the sort.
	qWalkRunning = newQuery(place + `state = 'running' AND (accepted + 0, id) < (?, ?)
		ORDER BY accepted + 0 DESC, id DESC LIMIT ?`)
	qWalkLabel = newQuery(`SELECT labels.accepted, labels.job, jobs.program, jobs.state, jobs.node
		FROM labels JOIN jobs ON jobs.id = labels.job WHERE labels.label = ? AND (labels.accepted, labels.job) < (?, ?)
		ORDER BY labels.accepted DESC, labels.job DESC LIMIT ?`)
	qQueuedNow      = newQuery("SELECT queued FROM counts WHERE one = 1")
	qInQueue        = newQuery("SELECT accepted, id, program, 'queued', '' FROM jobs WHERE state = 'queued' AND server = ? LIMIT ?")
	qInProgramQueue = newQuery(`SELECT accepted, id, program, 'queued', '' FROM jobs
		WHERE state = 'queued' AND server = ? AND program = ? LIMIT ?`)
	qNoProgram   = newQuery("SELECT program FROM jobs WHERE state NOT IN ('queued', 'running') AND program = '' LIMIT 1")
	qNextProgram = newQuery("SELECT program FROM jobs WHERE state NOT IN ('queued', 'running') AND program > ? ORDER BY program LIMIT 1")
)

// collect finds the places of the jobs, at least one more than a page holds if
// there are as many.
func (s *listing) collect() error {
	f := s.filter
	switch {
	case f.Label != "":
		return s.walk(qWalkLabel, f.Label)
	case f.State == jobs.Running:
		return s.running() // they are few
	case f.Node != "":
		return s.walk(qWalkNode, f.Node)
	case f.Program != "" || f.State != "":
		return s.merge()
	}
	return s.walk(qWalkAll)
}

// merge lists programs and states apart and sorts them together. The queue is
// in another order; where it is long it makes up most of the newest jobs, so a
// walk over all does as well.
func (s *listing) merge() error {
	if s.wants(jobs.Queued) {
		if all, err := s.queued(); err != nil {
			return err
		} else if !all {
			return s.walk(qWalkAll)
		}
	}
	programs, err := s.programs()
	if err != nil {
		return err
	}
	if len(programs) > maxMerged {
		return s.walk(qWalkAll)
	}
	for _, p := range programs {
		if err := s.ended(p); err != nil {
			return err
		}
	}
	if s.wants(jobs.Running) {
		return s.running()
	}
	return nil
}

// ended adds the jobs of a program that do not run and are not queued.
func (s *listing) ended(program string) error {
	for _, state := range jobs.States {
		if state == jobs.Running || state == jobs.Queued || !s.wants(state) {
			continue
		}
		if err := s.places(qWalkProgram, s.filter.Limit+1, program, string(state)); err != nil {
			return err
		}
	}
	return nil
}

// queued adds the queued jobs, unless they are too many.
func (s *listing) queued() (all bool, err error) {
	if s.filter.Program == "" {
		var n int
		err := s.each(qQueuedNow, nil, func(r *sql.Rows) error { return r.Scan(&n) })
		if err != nil || n > maxSorted {
			return false, err
		}
	}
	servers := []string{""}
	for err == nil && len(servers) < maxServers {
		var next []string
		if next, err = s.text(qNextServer, servers[len(servers)-1]); len(next) == 0 {
			break
		}
		servers = append(servers, next[0])
	}
	n := 0
	for _, server := range servers {
		if err != nil || n > maxSorted {
			break
		}
		q, args := qInQueue, []any{server, maxSorted + 1}
		if s.filter.Program != "" {
			q, args = qInProgramQueue, []any{server, s.filter.Program, maxSorted + 1}
		}
		var some int
		some, err = s.take(q, args)
		n += some
	}
	return n <= maxSorted, err
}

func (s *listing) wants(state jobs.State) bool {
	return s.filter.State == "" || s.filter.State == state
}

// programs lists the programs to merge; it leaps through the index from one to
// the next.
func (s *listing) programs() ([]string, error) {
	if s.filter.Program != "" {
		return []string{s.filter.Program}, nil
	}
	list, err := s.text(qNoProgram)
	for err == nil && len(list) <= maxMerged {
		last := ""
		if len(list) > 0 {
			last = list[len(list)-1]
		}
		var next []string
		if next, err = s.text(qNextProgram, last); len(next) == 0 {
			break
		}
		list = append(list, next[0])
	}
	return list, err
}

// text reads a column of text.
func (s *listing) text(q *query, args ...any) (list []string, err error) {
	err = s.each(q, args, func(r *sql.Rows) error {
		var v string
		err := r.Scan(&v)
		list = append(list, v)
		return err
	})
	return list, err
}

// walk adds the wanted jobs along an index, a piece at a time, until they fill
// the page or it has looked at enough.
func (s *listing) walk(q *query, key ...any) error {
	s.found = nil
	from := s.from
	for looked := 0; looked < maxWalk && len(s.found) <= s.filter.Limit; {
		piece := s.filter.Limit + 1
		n, err := s.take(q, append(slices.Clone(key), from.accepted, from.id, piece))
		if err != nil || n < piece {
			return err
		}
		from, looked = s.last, looked+n
	}
	s.next = s.last
	return nil
}

// running adds the running jobs that the filter wants.
func (s *listing) running() error {
	return s.places(qWalkRunning, maxWalk)
}

// places adds the wanted ones of at most limit jobs that follow the cursor in
// the order of q. Where there may be more, next says from where.
func (s *listing) places(q *query, limit int, key ...any) error {
	n, err := s.take(q, append(slices.Clone(key), s.from.accepted, s.from.id, limit))
	if limit == maxWalk && n == limit {
		s.next = s.last
	}
	return err
}

// take adds the wanted ones of the jobs that q finds, and returns how many it
// found; last is the last of them.
func (s *listing) take(q *query, args []any) (n int, err error) {
	f := s.filter
	err = s.each(q, args, func(r *sql.Rows) error {
		var c cursor
		var program, node string
		var state jobs.State
		if err := r.Scan(&c.accepted, &c.id, &program, (*string)(&state), &node); err != nil {
			return err
		}
		n, s.last = n+1, c
		if s.from.before(c) && s.wants(state) && (f.Program == "" || f.Program == program) && (f.Node == "" || f.Node == node) {
			s.found = append(s.found, c)
		}
		return nil
	})
	return n, err
}
