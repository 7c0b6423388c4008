// Package listing finds the jobs of one page of a list. It chooses the indexes that fit
// a filter, walks along them, newest first, and merges the walks. Cursors serve the
// event log as well.
package listing

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	defaultPage = 50
	maxPage     = 1000
)

// PageSize returns the number of rows on a page for a requested limit.
func PageSize(limit int) int {
	if limit <= 0 {
		return defaultPage
	}
	return min(limit, maxPage)
}

// Found is the jobs of one page.
type Found struct {
	Places []Cursor // newest first
	Next   string   // cursor of the next page; empty on the last
	// Back is how far back in time the search came if it broke off. Zero if the places
	// show it.
	Back time.Time
}

// Find finds one page. It breaks off after patience if it reads jobs that do not match.
// r must read a snapshot, so that no job moves between the lists. ErrCursor.
func Find(ctx context.Context, r engine.Reader, f Filter, patience time.Duration) (page Found, err error) {
	from, err := ParseCursor(f.Cursor)
	if err != nil {
		return page, err
	}
	f.Limit = PageSize(f.Limit)
	f.Until = engine.Earlier(f.Until, f.EndedBefore) // a job is accepted before it ends
	if until := (Cursor{Accepted: engine.Micros(f.Until)}); !f.Until.IsZero() && from.Before(until) {
		from = until
	}
	s := &search{reader: r, ctx: ctx, filter: f, from: from, merging: merging{began: time.Now(), maxTime: patience}}
	if err := s.plan(); err != nil {
		return page, err
	}
	if err := s.merge(); err != nil {
		return page, err
	}
	page.Places = s.found
	switch {
	case len(s.found) > f.Limit:
		page.Places = s.found[:f.Limit]
		page.Next = page.Places[f.Limit-1].String()
	case s.broken:
		page.Next, page.Back = s.last.String(), engine.FromMicros(s.last.Accepted)
	}
	return page, nil
}
