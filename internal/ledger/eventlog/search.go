package eventlog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
)

// Filter selects events. Zero fields select all.
type Filter struct {
	Kind, Node, Job string
	// Text is searched in message, person, job and node. Case does not matter.
	Text string
	// Human is true for events that persons caused, false for the others.
	Human *bool
	// Since and Until bound the time: not before Since, and before Until.
	Since, Until time.Time
	// Cursor is the Next of the page before; empty for the newest events.
	Cursor string
	// Limit is the largest number of events on a page. Default 50, at most 1,000.
	Limit int
}

// Page is one page of events, newest first. Only an empty Next marks the last page.
type Page struct {
	Events []Event
	Next   string
	Back   time.Time // how far back the search came if it broke off
}

// newWalk returns a query along an index of events.
func newWalk(where string) *engine.Query {
	return engine.NewQuery("SELECT " + eventColumns + " FROM events WHERE " + where +
		" AND (at, id) < (?, ?) AND at >= ? ORDER BY at DESC, id DESC LIMIT ?")
}

var (
	allEvents   = newWalk("1 = 1")
	kindEvents  = newWalk("kind = ?")
	nodeEvents  = newWalk("node <> '' AND node = ?")
	humanEvents = newWalk("asker <> ''")
)

// Search returns one page of events, newest first. Without a Job it leaves out the
// acceptance and success of jobs, as Newest does. A page may be short although more
// follow, because one call reads at most 1,000 events. It returns listing.ErrCursor for
// an unknown cursor.
func (l *Log) Search(ctx context.Context, f Filter) (page Page, err error) {
	defer l.ledger.Observe("event-log", time.Now(), &err)
	f.Limit = listing.PageSize(f.Limit)
	from, err := listing.ParseCursor(f.Cursor)
	if err != nil {
		return page, fmt.Errorf("ledger: event log: %w", err)
	}
	if until := (listing.Cursor{Accepted: engine.Micros(f.Until)}); !f.Until.IsZero() && from.Before(until) {
		from = until
	}
	s := &search{log: l, ctx: ctx, filter: f, from: from}
	if f.Job != "" {
		page, err = s.ofJob()
	} else {
		page, err = s.walk()
	}
	return page, engine.Wrap("event log", err)
}

// search is one call of Search.
type search struct {
	log    *Log
	ctx    context.Context
	filter Filter
	from   listing.Cursor
}

// plan chooses the index.
func (s *search) plan() (*engine.Query, []any) {
	switch f := &s.filter; {
	case f.Kind != "":
		return kindEvents, []any{f.Kind}
	case f.Node != "":
		return nodeEvents, []any{f.Node}
	case f.Human != nil && *f.Human:
		return humanEvents, nil
	}
	return allEvents, nil
}

// walk reads events in pieces until the page is full or the search breaks off.
func (s *search) walk() (page Page, err error) {
	q, key := s.plan()
	piece := max(128, s.filter.Limit+1)
	for looked := 0; ; looked += piece {
		args := append(slices.Clone(key), s.from.Accepted, s.from.ID, engine.Micros(s.filter.Since), piece)
		list, err := s.log.readEvents(s.ctx, q, args...)
		if err != nil || s.take(list, &page) || len(list) < piece {
			return page, err
		}
		last := list[len(list)-1]
		s.from = cursorOf(&last)
		if looked+2*piece > listing.MaxWalk {
			page.Next, page.Back = s.from.String(), last.At
			return page, nil
		}
	}
}

// take adds matching events to a page. It reports whether the page is full and one more
// matches.
func (s *search) take(list []Event, page *Page) bool {
	for i := range list {
		e := &list[i]
		if !s.wants(e) {
			continue
		}
		if n := len(page.Events); n == s.filter.Limit {
			last := page.Events[n-1]
			page.Next = cursorOf(&last).String()
			return true
		}
		page.Events = append(page.Events, *e)
	}
	return false
}

// ofJob returns a page of the events of one job, which are few.
func (s *search) ofJob() (page Page, err error) {
	list, err := s.log.newest(s.ctx, s.filter.Job, maxEvents)
	slices.SortStableFunc(list, func(a, b Event) int {
		return cursorOf(&a).Compare(cursorOf(&b))
	})
	list = slices.DeleteFunc(list, func(e Event) bool {
		return !s.from.Before(cursorOf(&e)) || e.At.Before(s.filter.Since)
	})
	s.take(list, &page)
	return page, err
}

func (s *search) wants(e *Event) bool {
	f := &s.filter
	return (f.Kind == "" || f.Kind == e.Kind) && (f.Node == "" || f.Node == e.Node) &&
		(f.Human == nil || *f.Human == (e.By != "")) &&
		(f.Text == "" || listing.Contains(strings.ToLower(f.Text), e.Message, e.By, e.Job, e.Node))
}

// cursorOf returns the place of an event in the log.
func cursorOf(e *Event) listing.Cursor {
	return listing.Cursor{Accepted: engine.Micros(e.At), ID: e.ID}
}
