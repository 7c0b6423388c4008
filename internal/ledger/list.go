package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	defaultPage = 50
	maxPage     = 1000
	// maxWalk is how many jobs one call looks at where no index knows which of
	// them are wanted.
	maxWalk = 1000
	// maxMerged is how many lists are merged.
	maxMerged = 200
)

// qListed reads records without what is large.
var qListed = engine.NewManyRows("SELECT "+recordColumns+`,
	live_progress, live_message, live_counters, live_updated FROM (SELECT jobs.*,
	live.progress AS live_progress, live.message AS live_message, live.counters AS live_counters,
	live.updated AS live_updated FROM jobs
	LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt WHERE jobs.id IN (`, 0, `)) AS jobs
	ORDER BY accepted DESC, id DESC`)

// List returns one page of jobs, newest first, without Document and
// Live.Partial. A filter by State, Program or both, or by Node or Label alone or
// Node and State, fills its pages. With other combinations, and with Text, a page
// may be short although more follow: one call looks at 1000 jobs at most that no
// index knows to be wanted. ErrCursor.
func (l *Ledger) List(ctx context.Context, f Filter) (page Page, err error) {
	defer l.watch("list", time.Now(), &err)
	page, err = l.list(ctx, f)
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
	if until := (cursor{accepted: engine.Micros(f.Until)}); !f.Until.IsZero() && from.before(until) {
		from = until
	}
	// One transaction, so that no job changes from one list to another between them.
	tx, err := l.db.Reader.Snapshot(ctx)
	if err != nil {
		return Page{}, err
	}
	defer tx.Close(ctx)
	s := &listing{reader: tx, ctx: ctx, filter: f, from: from, streams: streams{began: time.Now(), patience: l.look}}
	if err := s.plan(); err != nil {
		return Page{}, err
	}
	if err := s.merge(); err != nil {
		return Page{}, err
	}
	return s.page()
}

// listing is one call of List.
type listing struct {
	reader engine.Reader
	ctx    context.Context
	filter Filter
	from   cursor
	streams

	found  []cursor
	last   cursor // the last place that was looked at
	broken bool   // it has looked at enough before the page was full
}

func (s *listing) each(q *engine.Query, args []any, scan func(engine.Row) error) error {
	return s.reader.Each(s.ctx, q, args, scan)
}

func (s *listing) row(q *engine.Query, args []any, dest ...any) (bool, error) {
	return s.reader.Row(s.ctx, q, args, dest...)
}

// page reads the records of the places found.
func (s *listing) page() (page Page, err error) {
	found := s.found
	switch {
	case len(found) > s.filter.Limit:
		found = found[:s.filter.Limit]
		page.Next = found[len(found)-1].String()
	case s.broken:
		page.Next, page.Back = s.last.String(), engine.FromMicros(s.last.accepted)
	}
	page.Jobs, err = s.records(found)
	return page, err
}

// records reads the jobs at sorted places.
func (s *listing) records(places []cursor) ([]Record, error) {
	list := make([]Record, 0, len(places))
	err := qListed.Split(len(places), func(q *engine.Query, from, to int) error {
		var ids []any
		for _, c := range places[from:to] {
			ids = append(ids, c.id)
		}
		return s.each(q, ids, func(rows engine.Row) error {
			r, err := scanListed(rows)
			list = append(list, r)
			return err
		})
	})
	return list, err
}

// GetMany returns jobs as List does, in the order of ids; those that the ledger
// does not hold are left out. At most 1000 ids; ErrTooBig.
func (l *Ledger) GetMany(ctx context.Context, ids []string) (list []Record, err error) {
	defer l.watch("get-many", time.Now(), &err)
	if len(ids) > maxPage {
		return nil, fmt.Errorf("ledger: get %d jobs: %w", len(ids), ErrTooBig)
	}
	known := make(map[string]Record, len(ids))
	err = qListed.Split(len(ids), func(q *engine.Query, from, to int) error {
		return l.reader.Each(ctx, q, anys(ids[from:to]), func(rows engine.Row) error {
			r, err := scanListed(rows)
			known[r.ID] = r
			return err
		})
	})
	if err != nil {
		return nil, fmt.Errorf("ledger: get many: %w", err)
	}
	for _, id := range ids {
		if r, ok := known[id]; ok {
			list = append(list, r)
		}
	}
	return list, nil
}

func anys(list []string) []any {
	args := make([]any, len(list))
	for i, v := range list {
		args[i] = v
	}
	return args
}

// scanListed reads a row of qListed.
func scanListed(rows engine.Row) (Record, error) {
	var row recordRow
	if err := rows.Scan(row.withLive()...); err != nil {
		return Record{}, err
	}
	return row.record()
}
