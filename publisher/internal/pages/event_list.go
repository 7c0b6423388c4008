package pages

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/health"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// eventRow is the view of an event.
type eventRow struct {
	ID, Kind, Tone, Message string
	At                      text.Piece
	Job, JobPath            string
	Node, NodePath          string
	By                      string
}

// maxEventRunes is how many runes of an event's message are shown.
const maxEventRunes = 400

func eventOf(root string, e api.Event) eventRow {
	v := eventRow{
		ID: text.Line(e.ID, text.NameLimit), Kind: text.Line(strings.ReplaceAll(e.Kind, "-", " "), text.NameLimit), Tone: eventTone(e.Kind),
		Message: text.Line(e.Message, maxEventRunes), At: text.Moment(e.At), By: text.Line(e.By, text.NameLimit),
		Job: text.ShortID(e.Job), Node: text.Line(e.Node, text.NameLimit),
	}
	if e.Job != "" {
		v.JobPath = text.Link(root + "/jobs/" + url.PathEscape(e.Job))
	}
	if e.Node != "" {
		v.NodePath = text.Link(root + "/nodes/" + url.PathEscape(e.Node))
	}
	return v
}

// eventTone returns the CSS class for a kind of event that needs attention, and ""
// for others.
func eventTone(kind string) string {
	switch kind {
	case eventlog.KindFailed, eventlog.KindLost, eventlog.KindFault, eventlog.KindConflict:
		return "bad"
	case eventlog.KindRetrying, eventlog.KindExpired, eventlog.KindInterrupted, eventlog.KindHookGivenUp, eventlog.KindDeliveryGivenUp:
		return "warn"
	}
	return ""
}

// eventsPageSize is how many events a page lists.
const eventsPageSize = 100

// eventsView is the log of events.
type eventsView struct {
	frame
	Filter        eventsFilter
	Events        []eventRow
	Empty         string
	Back          text.Piece // how far back the search looked before it stopped
	Older, Newest string
}

// eventsFilter is the form of filters as it was filled in.
type eventsFilter struct {
	Kind, Node, Job, By, Since, Until, Text string

	Kinds, Nodes []string // to choose from
	Active, More bool
	Fault        string
}

// eventNames are the names of the filters.
var eventNames = []string{"kind", "node", "job", "by", "since", "until", "text"}

// eventKinds are the kinds of events that the form suggests.
var eventKinds = []string{
	eventlog.KindFailed, eventlog.KindRetrying, eventlog.KindLost, eventlog.KindFault, eventlog.KindConflict, eventlog.KindExpired, eventlog.KindInterrupted,
	eventlog.KindCancelRequested, eventlog.KindCancelled, eventlog.KindRetried, eventlog.KindReset, eventlog.KindReleased, eventlog.KindCheckpoint, eventlog.KindCheckpointAsked, eventlog.KindCheckpointNone, eventlog.KindLoop,
	eventlog.KindDrained, eventlog.KindUndrained, eventlog.KindPaused, eventlog.KindResumed, eventlog.KindSlots, eventlog.KindForgotten, eventlog.KindHookGivenUp, eventlog.KindDeliveryGivenUp, eventlog.KindDeliveryOwnURL,
	eventlog.KindUpgrade, eventlog.KindUpgraded,
}

// EventList shows the log of events.
func (p *Pages) EventList(c echo.Context) error {
	q := c.QueryParams()
	return p.sendShared(c, "event_list.html", func(ctx context.Context) (any, error) {
		v := &eventsView{frame: p.frame(c, "events", "Events")}
		return v, p.fillEvents(ctx, v, q)
	})
}

func (p *Pages) fillEvents(ctx context.Context, v *eventsView, q url.Values) error {
	nodes, err := p.cfg.Nodes(ctx)
	if err != nil {
		return err
	}
	given := eventValues(q)
	v.Filter = newEventsFilter(given, health.Present(nodes))
	f, fault := readEvents(given)
	f.Cursor, f.Limit = q.Get("cursor"), eventsPageSize
	if v.Filter.Fault = fault; fault != "" {
		return nil
	}
	page, err := p.cfg.Events(ctx, f)
	if errors.Is(err, listing.ErrCursor) {
		f.Cursor = ""
		page, err = p.cfg.Events(ctx, f)
	}
	v.list(page, given, f.Cursor)
	return err
}

// eventValues returns the filters of a query, without empty ones.
func eventValues(q url.Values) url.Values {
	given := url.Values{}
	for _, name := range eventNames {
		value := strings.TrimSpace(q.Get(name))
		switch {
		case value == "" || len(value) > httpio.MaxText:
			continue
		case name == "since" || name == "until":
			value = momentOf(value)
		case name == "kind":
			value = strings.ReplaceAll(value, " ", "-")
		}
		given.Set(name, value)
	}
	return given
}

// readEvents returns the filter, or says what is wrong with it.
func readEvents(q url.Values) (f eventlog.Filter, fault string) {
	f = eventlog.Filter{Kind: q.Get("kind"), Node: q.Get("node"), Job: q.Get("job"), Text: q.Get("text")}
	for name, at := range map[string]*time.Time{"since": &f.Since, "until": &f.Until} {
		if value := q.Get(name); value != "" {
			t, err := time.Parse(time.RFC3339, value)
			if err != nil {
				return f, "“" + text.Line(value, text.NameLimit) + "” is no time: write it like 2026-11-22T06:16."
			}
			*at = t
		}
	}
	switch by := q.Get("by"); by {
	case "":
	case "human", "machine":
		human := by == "human"
		f.Human = &human
	default:
		return f, "By is human or machine."
	}
	for name := range q {
		if httpio.TextFault(q.Get(name)) != "" {
			return f, "A filter holds what no event can hold."
		}
	}
	return f, ""
}

func newEventsFilter(q url.Values, nodes []api.Node) eventsFilter {
	get := func(name string) string { return text.Line(q.Get(name), httpio.MaxText) }
	f := eventsFilter{
		Kind: get("kind"), Node: get("node"), Job: get("job"), By: get("by"), Text: get("text"),
		Since: formTime(q.Get("since")), Until: formTime(q.Get("until")), Kinds: eventKinds, Active: len(q) > 0,
	}
	f.More = f.Node+f.Job+f.Since+f.Until != ""
	for _, n := range nodes {
		f.Nodes = append(f.Nodes, text.Line(n.Name, text.NameLimit))
	}
	return f
}

func (v *eventsView) list(page api.EventPage, given url.Values, cursor string) {
	for _, e := range page.Events {
		v.Events = append(v.Events, eventOf(v.Root, e))
	}
	v.Empty = "Nothing has happened yet."
	if len(given) > 0 {
		v.Empty = "No event is like that."
	}
	if page.Next != "" {
		v.Older = v.Root + "/events" + with(given, "cursor", page.Next)
	}
	if cursor != "" {
		v.Newest = v.Root + "/events" + with(given, "", "")
	}
	if !page.Back.IsZero() {
		v.Back = text.Moment(page.Back)
	}
}
