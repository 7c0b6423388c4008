package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/backlog"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/ledger/live"
)

// Page is one page of jobs, newest first. It may hold fewer jobs than asked for, even
// none, although more follow. Only an empty Next marks the last page.
type Page struct {
	Jobs []Record
	Next string // cursor of the next page; empty on the last
	// Back is how far back in time the search came if it broke off. Zero if the jobs
	// show it.
	Back time.Time
}

const maxMany = 1000 // ids of one GetMany

// qListed reads records without documents and partial results.
var qListed = engine.NewManyRows("SELECT "+recordColumns+", "+live.Names+` FROM (SELECT jobs.*, `+live.Renamed+` FROM jobs
	LEFT JOIN live ON live.job = jobs.id AND live.attempt = jobs.attempt WHERE jobs.id IN (`, 0, `)) AS jobs
	ORDER BY accepted DESC, id DESC`)

// List returns one page of jobs, newest first, without Document and Live.Partial. Pages
// are full for filters by State, Program or both, by Node or Label alone, and by Node
// and State. With other filters and with Text a page may be short although more follow,
// because one call reads at most 1,000 jobs that an index cannot select. It returns
// listing.ErrCursor for an unknown cursor.
func (l *Ledger) List(ctx context.Context, f listing.Filter) (page Page, err error) {
	defer l.watch("list", time.Now(), &err)
	page, err = l.list(ctx, f)
	return page, engine.Wrap("list", err)
}

func (l *Ledger) list(ctx context.Context, f listing.Filter) (page Page, err error) {
	// The snapshot keeps a job from moving between lists while they are read.
	tx, err := l.db.Snapshot(ctx)
	if err != nil {
		return Page{}, err
	}
	defer tx.Close(ctx)
	found, err := listing.Find(ctx, tx, f, l.maxSearch)
	if err != nil {
		return Page{}, err
	}
	page.Next, page.Back = found.Next, found.Back
	page.Jobs, err = listed(ctx, tx, found.Places)
	return page, err
}

// listed reads the jobs at sorted places.
func listed(ctx context.Context, r engine.Reader, places []listing.Cursor) ([]Record, error) {
	list := make([]Record, 0, len(places))
	err := qListed.Split(len(places), func(q *engine.Query, from, to int) error {
		var ids []any
		for _, c := range places[from:to] {
			ids = append(ids, c.ID)
		}
		return r.Each(ctx, q, ids, func(rows engine.Row) error {
			r, err := scanListed(rows)
			list = append(list, r)
			return err
		})
	})
	return list, err
}

// GetMany returns jobs as List does, in the order of ids, without those that the ledger
// does not hold. It returns engine.ErrTooBig for more than 1,000 ids.
func (l *Ledger) GetMany(ctx context.Context, ids []string) (list []Record, err error) {
	defer l.watch("get-many", time.Now(), &err)
	if len(ids) > maxMany {
		return nil, fmt.Errorf("ledger: get %d jobs: %w", len(ids), engine.ErrTooBig)
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

// Backlog is the number of jobs that have not ended, and ProgramBacklog that of one program.
type (
	Backlog        = backlog.Backlog
	ProgramBacklog = backlog.Program
)

// Backlog returns the number of jobs that have not ended, see [backlog.Read].
func (l *Ledger) Backlog(ctx context.Context) (Backlog, error) {
	return backlog.Read(ctx, l.access(), l.maxScheduled)
}
