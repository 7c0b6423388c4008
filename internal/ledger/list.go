package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	defaultPage = 50
	maxPage     = 1000
	// maxWalk is how many jobs one call looks at where no index knows which of
	// them are wanted.
	maxWalk = 5000
	// maxMerged is how many programs are listed apart and merged.
	maxMerged = 200
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
	qWalkProgram = newQuery(place + "state <> 'running' AND program = ? AND state = ?" + jobsAfter)
	qWalkRunning = newQuery(place + `state = 'running' AND (accepted, id) < (?, ?)
		ORDER BY accepted + 0 DESC, id DESC LIMIT ?`)
	qWalkLabel = newQuery(`SELECT labels.accepted, labels.job, jobs.program, jobs.state, jobs.node
		FROM labels JOIN jobs ON jobs.id = labels.job WHERE labels.label = ? AND (labels.accepted, labels.job) < (?, ?)
		ORDER BY labels.accepted DESC, labels.job DESC LIMIT ?`)
	qNextProgram = newQuery("SELECT program FROM jobs WHERE state <> 'running' AND program > ? ORDER BY program LIMIT 1")
	qListed      = newQuery("SELECT " + recordColumns + `,
		(SELECT labels FROM documents WHERE documents.id = jobs.id),
		live_progress, live_message, live_counters, live_updated FROM (SELECT jobs.*,
		live.progress AS live_progress, live.message AS live_message, live.counters AS live_counters,
		live.updated AS live_updated FROM jobs
		LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt WHERE jobs.id = ?) AS jobs`)
)

// List returns one page of jobs, newest first, without Document and
// Live.Partial. A filter on State, Program or both, on Node or on Label alone
// fills its pages; with other combinations a page may be short although more
// follow, because one call looks at 5000 jobs at most. ErrCursor.
func (l *Ledger) List(ctx context.Context, f Filter) (Page, error) {
	page, err := l.list(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("ledger: list: %w", err)
	}
	return page, nil
}

func (l *Ledger) list(ctx context.Context, f Filter) (Page, error) {
	from, err := parseCursor(f.Cursor)
	if err != nil {
		return Page{}, err
	}
	if f.Limit <= 0 {
		f.Limit = defaultPage
	}
	f.Limit = min(f.Limit, maxPage)
	// One transaction, so that no job changes from one list to another between them.
	tx, err := l.reader.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = tx.Rollback() }()
	s := &listing{pool: l.reader, tx: tx, ctx: ctx, filter: f, from: from}
	if err := s.collect(); err != nil {
		return Page{}, err
	}
	return s.page()
}

// listing is one call of List.
type listing struct {
	pool   *pool
	tx     *sql.Tx
	ctx    context.Context
	filter Filter
	from   cursor

	found []cursor
	// next is where the next page begins if found does not fill this one; its
	// zero value says that there is none.
	next cursor
}

// collect finds the places of the jobs, at least one more than a page holds if
// there are as many.
func (s *listing) collect() error {
	f := s.filter
	switch {
	case f.Label != "":
		return s.walk(qWalkLabel, f.Label)
	case f.Node != "":
		return s.walk(qWalkNode, f.Node)
	case f.State == jobs.Running:
		return s.running()
	case f.Program != "" || f.State != "":
		return s.merge()
	}
	return s.walk(qWalkAll)
}

// merge lists programs and states apart and sorts them together.
func (s *listing) merge() error {
	programs := []string{s.filter.Program}
	if s.filter.Program == "" {
		var err error
		if programs, err = s.programs(); err != nil {
			return err
		}
		if len(programs) > maxMerged {
			return s.walk(qWalkAll)
		}
	}
	for _, p := range programs {
		for _, state := range jobs.States {
			if state == jobs.Running || !s.wants(state) {
				continue
			}
			if err := s.places(qWalkProgram, s.filter.Limit+1, p, string(state)); err != nil {
				return err
			}
		}
	}
	if s.wants(jobs.Running) {
		return s.running()
	}
	return nil
}

func (s *listing) wants(state jobs.State) bool {
	return s.filter.State == "" || s.filter.State == state
}

// programs leaps through the index from one program to the next.
func (s *listing) programs() (list []string, err error) {
	if found, err := s.program("", true); err != nil {
		return nil, err
	} else if found != nil {
		list = append(list, "")
	}
	last := ""
	for len(list) <= maxMerged {
		found, err := s.program(last, false)
		if err != nil || found == nil {
			return list, err
		}
		last = *found
		list = append(list, last)
	}
	return list, nil
}

var qNoProgram = newQuery("SELECT program FROM jobs WHERE state <> 'running' AND program = ? LIMIT 1")

func (s *listing) program(after string, same bool) (found *string, err error) {
	q := qNextProgram
	if same {
		q = qNoProgram
	}
	err = s.each(q, []any{after}, func(r *sql.Rows) error {
		found = new(string)
		return r.Scan(found)
	})
	return found, err
}

// running adds the running jobs that the filter wants.
func (s *listing) running() error {
	return s.places(qWalkRunning, maxWalk)
}

// walk adds the jobs along an index that the filter wants.
func (s *listing) walk(q *query, key ...any) error {
	limit := s.filter.Limit + 1
	if s.filtersWalk() {
		limit = maxWalk
	}
	return s.places(q, limit, key...)
}

// filtersWalk reports whether a walk meets jobs that are not wanted.
func (s *listing) filtersWalk() bool {
	f := s.filter
	return f.State != "" || f.Program != "" || (f.Node != "" && f.Label != "")
}

// places adds the wanted ones of at most limit jobs that q finds. Where there
// may be more, next says from where.
func (s *listing) places(q *query, limit int, key ...any) error {
	var n int
	var last cursor
	err := s.each(q, append(slices.Clone(key), s.from.accepted, s.from.id, limit), func(r *sql.Rows) error {
		var c cursor
		var program, node string
		var state jobs.State
		if err := r.Scan(&c.accepted, &c.id, &program, (*string)(&state), &node); err != nil {
			return err
		}
		n, last = n+1, c
		f := s.filter
		if s.wants(state) && (f.Program == "" || f.Program == program) && (f.Node == "" || f.Node == node) {
			s.found = append(s.found, c)
		}
		return nil
	})
	if limit == maxWalk && n == limit {
		s.next = last
	}
	return err
}

func (s *listing) each(q *query, args []any, scan func(*sql.Rows) error) error {
	stmt, err := s.pool.stmt(s.ctx, q)
	if err != nil {
		return err
	}
	rows, err := s.tx.StmtContext(s.ctx, stmt).QueryContext(s.ctx, args...)
	if err != nil {
		return err
	}
	return eachRow(rows, scan)
}

// page reads the records of the places found.
func (s *listing) page() (Page, error) {
	slices.SortFunc(s.found, func(a, b cursor) int {
		if a.accepted != b.accepted {
			return cmp.Compare(b.accepted, a.accepted)
		}
		return cmp.Compare(b.id, a.id)
	})
	if s.next != (cursor{}) {
		// What lies behind the place where a walk broke off comes with the next page.
		s.found = slices.DeleteFunc(s.found, s.next.before)
	}
	found, page := s.found, Page{}
	if len(found) > s.filter.Limit {
		found = found[:s.filter.Limit]
		page.Next = found[len(found)-1].String()
	} else if s.next != (cursor{}) {
		page.Next = s.next.String()
	}
	page.Jobs = make([]Record, 0, len(found))
	for _, c := range found {
		err := s.each(qListed, []any{c.id}, func(rows *sql.Rows) error {
			var row recordRow
			if err := rows.Scan(row.withLabels()...); err != nil {
				return err
			}
			r, err := row.record()
			page.Jobs = append(page.Jobs, r)
			return err
		})
		if err != nil {
			return Page{}, err
		}
	}
	return page, nil
}
