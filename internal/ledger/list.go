package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

const (
	defaultPage = 50
	maxPage     = 1000
	// maxWalk is how many jobs one call looks at where no index knows which of
	// them are wanted.
	maxWalk = 2000
	// maxSorted is how long a queue may be that is read whole and sorted.
	maxSorted = 1000
	// maxMerged is how many programs are listed apart and merged.
	maxMerged = 200
)

// qListed reads records without what is large.
var qListed = newManyRows("SELECT "+recordColumns+`,
	live_progress, live_message, live_counters, live_updated FROM (SELECT jobs.*,
	live.progress AS live_progress, live.message AS live_message, live.counters AS live_counters,
	live.updated AS live_updated FROM jobs
	LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt WHERE jobs.id IN (`, 0, `)) AS jobs
	ORDER BY accepted DESC, id DESC`)

// List returns one page of jobs, newest first, without Document and
// Live.Partial. A filter on State, Program or both, on Node or on Label alone
// fills its pages; with other combinations a page may be short although more
// follow, because one call looks at 2000 jobs at most. ErrCursor.
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
	last  cursor // the last place that was looked at
	// next is where the next page begins if found does not fill this one; its
	// zero value says that there is none.
	next cursor
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
	var err error
	page.Jobs, err = s.records(found)
	return page, err
}

// records reads the jobs at sorted places.
func (s *listing) records(places []cursor) ([]Record, error) {
	list := make([]Record, 0, len(places))
	err := qListed.split(len(places), func(q *query, from, to int) error {
		var ids []any
		for _, c := range places[from:to] {
			ids = append(ids, c.id)
		}
		return s.each(q, ids, func(rows *sql.Rows) error {
			var row recordRow
			if err := rows.Scan(row.withLive()...); err != nil {
				return err
			}
			r, err := row.record()
			list = append(list, r)
			return err
		})
	})
	return list, err
}
