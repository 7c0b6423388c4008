package listing

import (
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

var (
	// Reads the first job of the next queue. A queue is the jobs of a server, program
	// and priority. Without the last number SQLite would walk over the rest of the
	// queue.
	qNextKey = engine.NewQuery(`SELECT server, program, priority, accepted FROM jobs
		WHERE state = 'queued' AND (server, program, priority, accepted) > (?, ?, ?, 9223372036854775807)
		ORDER BY server, program, priority, accepted LIMIT 1`)
	qNextPriority = engine.NewQuery(`SELECT priority FROM jobs WHERE state = 'queued' AND server = ? AND program = ? AND priority > ?
		ORDER BY priority LIMIT 1`)
	qKnownPrograms = engine.NewQuery("SELECT program FROM job_counts ORDER BY program LIMIT ?")
	qAnyLabelled   = engine.NewQuery("SELECT 1 FROM labels WHERE label = ? LIMIT 1")
)

// plan chooses the indexes for the filter.
func (s *search) plan() error {
	if done, err := s.planText(); done || err != nil {
		return err
	}
	f := s.filter
	switch {
	case f.Label != "":
		s.add(labelJobs, f, f.Label)
	case f.State == jobs.Running:
		s.running()
	case f.Node != "":
		s.ofNode()
	case f.Program != "" || f.State == jobs.Queued || f.State == jobs.Succeeded:
		return s.ofPrograms()
	case f.State != "":
		f.State = ""
		s.add(stateJobs, f, string(s.filter.State))
	default:
		s.add(allJobs, f)
	}
	return nil
}

// add adds a walk along an index. rest is the part of the filter that the index does not
// cover.
func (s *search) add(w walk, rest Filter, key ...any) {
	s.list = append(s.list, &openWalk{walk: w, rest: newCriteria(rest), key: key, from: s.from})
}

// running adds the running jobs.
func (s *search) running() {
	f := s.filter
	f.State = ""
	s.add(runningJobs, f)
}

// ofNode adds the jobs that a node runs or ran last.
func (s *search) ofNode() {
	f := s.filter
	f.Node, f.State = "", ""
	for _, state := range jobs.States {
		switch {
		case !s.wants(state):
		case state == jobs.Running:
			s.running()
		default:
			s.add(nodeJobs, f, s.filter.Node, string(state))
		}
	}
}

// ofPrograms adds the jobs of one or all programs in the state of the filter. If there
// are too many walks to merge, it walks over all jobs.
func (s *search) ofPrograms() error {
	programs, err := s.programs()
	if err != nil {
		return err
	}
	for _, p := range programs {
		s.ended(p)
	}
	if s.wants(jobs.Queued) {
		err = s.queued()
	}
	if len(s.list) > maxMerged {
		s.list = nil
		s.add(allJobs, s.filter)
		return err
	}
	if s.wants(jobs.Running) {
		s.running()
	}
	return err
}

// ended adds the jobs of a program that do not run and are not queued.
func (s *search) ended(program string) {
	for _, state := range jobs.States {
		if state != jobs.Running && state != jobs.Queued && s.wants(state) {
			f := s.filter
			f.Program, f.State = "", ""
			s.add(programJobs, f, program, string(state))
		}
	}
}

// queued adds the queued jobs. Those of one server, program and priority are in the
// order of lists; each such queue is one walk.
func (s *search) queued() error {
	f := s.filter
	f.Program, f.State = "", ""
	if s.filter.Program != "" {
		return s.queuedOf(f)
	}
	server, program, priority := "", "", int64(-1)
	for len(s.list) <= maxMerged {
		var accepted int64
		found, err := s.row(qNextKey, []any{server, program, priority}, &server, &program, &priority, &accepted)
		if err != nil || !found {
			return err
		}
		s.add(queuedJobs, f, server, program, priority)
	}
	return nil
}

// queuedOf adds the queued jobs of one program.
func (s *search) queuedOf(rest Filter) error {
	servers, err := Servers(s.ctx, s.reader)
	for _, server := range servers {
		for priority := int64(-1); err == nil && len(s.list) <= maxMerged; {
			found := false
			found, err = s.row(qNextPriority, []any{server, s.filter.Program, priority}, &priority)
			if !found {
				break
			}
			s.add(queuedJobs, rest, server, s.filter.Program, priority)
		}
	}
	return err
}

func (s *search) wants(state jobs.State) bool {
	return s.filter.State == "" || s.filter.State == state
}

// programs returns the programs that have, or had, jobs without a fault.
func (s *search) programs() (list []string, err error) {
	if s.filter.Program != "" {
		return []string{s.filter.Program}, nil
	}
	err = s.each(qKnownPrograms, []any{maxMerged + 1}, func(r engine.Row) error {
		var p string
		err := r.Scan(&p)
		list = append(list, p)
		return err
	})
	return list, err
}

// planText uses an index for a text that is a label or the beginning of an id. It
// reports whether the plan is complete.
func (s *search) planText() (bool, error) {
	f := &s.filter
	if strings.Contains(f.Text, "=") && f.Label == "" {
		var one int
		known, err := s.row(qAnyLabelled, []any{f.Text}, &one)
		if known {
			f.Label, f.Text = f.Text, ""
		}
		return false, err
	}
	if !startsID(f.Text) || f.Label != "" {
		return false, nil
	}
	return s.byID(strings.ToLower(f.Text))
}

const minPrefix = 8

// startsID reports whether a text may be the beginning of an id and is long enough that
// few ids match.
func startsID(text string) bool {
	return len(text) >= minPrefix && len(text) <= engine.MaxID && strings.Trim(strings.ToLower(text), "0123456789abcdef-") == ""
}

// byID lists the jobs whose ids begin with a text, if there are some and not too many.
func (s *search) byID(prefix string) (bool, error) {
	n, v := 0, &openWalk{done: true}
	args := append(newCriteria(s.filter).args(), prefix, prefix+"g", MaxWalk+1)
	err := s.each(qIDs, args, func(r engine.Row) error {
		var c found
		err := r.Scan(&c.Accepted, &c.ID, &c.wanted)
		if n++; s.from.Before(c.Cursor) && c.Accepted >= engine.Micros(s.filter.Since) {
			v.have = append(v.have, c)
		}
		return err
	})
	if err != nil || n == 0 || n > MaxWalk {
		return false, err
	}
	slices.SortFunc(v.have, func(a, b found) int { return a.Compare(b.Cursor) })
	s.list = append(s.list, v)
	return true, nil
}
