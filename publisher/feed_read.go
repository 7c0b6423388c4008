package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/live"
)

// source is what the feed reads.
type source interface {
	// records returns those of the jobs that are known.
	records(ctx context.Context, ids []string) ([]ledger.Record, error)
	// eventsAfter lists at most limit events with greater ids, in their order.
	eventsAfter(ctx context.Context, id string, limit int) ([]api.Event, error)
	nodeNews(ctx context.Context) ([]seenNode, error)
}

// readBatch is how many jobs are read at once.
const readBatch = 1000

// tellJobs reads jobs and tells those who follow them.
func (f *feed) tellJobs(ctx context.Context, ids []string) {
	for piece := range slices.Chunk(ids, readBatch) {
		records, err := f.source.records(ctx, piece)
		if err != nil {
			f.complain("jobs", err)
			return
		}
		for _, rec := range records {
			if m := message(newsJob, "", newsOf(rec), newsJob+rec.ID); m != nil {
				f.tell(m, newsJob, func(w *follower) bool { return w.concerns(rec.ID, rec.Program) })
			}
		}
	}
}

func newsOf(rec ledger.Record) api.JobNews {
	n := api.JobNews{ID: rec.ID, Program: rec.Program, State: rec.State, Node: rec.Node, Attempt: rec.Attempt, Updated: rec.Updated}
	if rec.State == jobs.Running {
		n.Progress = rec.Live.Progress
		if rec.Live.Updated.After(n.Updated) {
			n.Updated = rec.Live.Updated
		}
	}
	return n
}

// concerns reports whether the follower has asked for what concerns a job.
func (w *follower) concerns(job, program string) bool {
	return (w.job == "" || w.job == job) && (w.program == "" || w.program == program)
}

func (f *feed) complain(what string, err error) {
	if !errors.Is(err, context.Canceled) {
		f.log.Error("could not read what the event streams should tell", slog.String("what", what), slog.Any("err", err))
	}
}

func message(kind, id string, v any, key string) *live.Message {
	body, err := httpio.Marshal(v)
	if err != nil {
		return nil // a value that cannot be written is no news
	}
	return live.Event(kind, id, body, key)
}

const (
	// eventOverlap is how much later than its id's time an event may be seen.
	eventOverlap = 5 * time.Second
	// eventBatch and eventBatches bound how many events are read in one cycle.
	eventBatch, eventBatches = 1000, 8
	// maxReplay is how many events are too many for a client that comes again.
	maxReplay = 1000
)

// eventWindow is which events the followers have been told: all up to from, and
// those in seen.
type eventWindow struct {
	from string
	seen map[string]bool
}

func (e *eventWindow) had(id string) bool { return id <= e.from || e.seen[id] }

// newest is the id to come again with.
func (e *eventWindow) newest() string {
	newest := e.from
	for id := range e.seen {
		newest = max(newest, id)
	}
	return newest
}

// move lets the window begin at from.
func (e *eventWindow) move(from string) {
	if from <= e.from {
		return
	}
	e.from = from
	maps.DeleteFunc(e.seen, func(id string, _ bool) bool { return id <= from })
}

// idAt is an id that is smaller than all of UUID version 7 made at t or later.
func idAt(t time.Time) string {
	ms := max(t.UnixMilli(), 0)
	return fmt.Sprintf("%08x-%04x-7000-8000-000000000000", ms>>16, ms&0xffff)
}

// tellEvents tells the events that are new; it reports whether there were any.
// At first there is nothing to tell: all that is there is old.
func (f *feed) tellEvents(ctx context.Context, now time.Time) bool {
	first := f.window.seen == nil
	fresh, err := f.freshEvents(ctx, now)
	if err != nil {
		f.complain("events", err)
	}
	if first || len(fresh) == 0 {
		return false
	}
	programs := f.programsOf(ctx, fresh, f.asksForProgram())
	for _, e := range fresh {
		if m := message(newsEvent, e.ID, e, ""); m != nil {
			f.tell(m, newsEvent, func(w *follower) bool { return w.concerns(e.Job, programs[e.Job]) })
		}
	}
	return true
}

// freshEvents reads the window and what came after it.
func (f *feed) freshEvents(ctx context.Context, now time.Time) (fresh []api.Event, err error) {
	e := &f.window
	if e.seen == nil {
		e.seen, e.from = map[string]bool{}, idAt(now.Add(-eventOverlap))
	}
	after := e.from
	for range eventBatches {
		list, err := f.source.eventsAfter(ctx, after, eventBatch)
		if err != nil {
			return fresh, err
		}
		for _, ev := range list {
			if !e.had(ev.ID) {
				e.seen[ev.ID] = true
				fresh = append(fresh, ev)
			}
			after = ev.ID
		}
		if len(list) < eventBatch {
			e.move(idAt(now.Add(-eventOverlap)))
			return fresh, nil
		}
	}
	e.move(after) // so many at once: rather one that is late is missed than all
	return fresh, nil
}

// asksForProgram reports whether somebody follows the events of one program.
func (f *feed) asksForProgram() bool {
	return len(f.audience(newsEvent, func(w *follower) bool { return w.program != "" })) > 0
}

// programsOf are the programs of the jobs that events are about, where asked for.
func (f *feed) programsOf(ctx context.Context, list []api.Event, asked bool) map[string]string {
	if !asked {
		return nil
	}
	programs := map[string]string{}
	for _, e := range list {
		if e.Job != "" {
			programs[e.Job] = ""
		}
	}
	for piece := range slices.Chunk(slices.Collect(maps.Keys(programs)), readBatch) {
		records, err := f.source.records(ctx, piece)
		if err != nil {
			f.complain("jobs of events", err)
		}
		for _, rec := range records {
			programs[rec.ID] = rec.Program
		}
	}
	return programs
}

// welcome gives those who come again the events that they have missed, and all
// the id to come again with. From then on they hear what is told.
func (f *feed) welcome(ctx context.Context, joining []*follower) {
	missed := map[string][]api.Event{} // by what they have had
	for _, w := range joining {
		switch {
		case !slices.Contains(w.types, newsEvent):
		case w.resume:
			if _, ok := missed[w.after]; !ok {
				missed[w.after] = f.missed(ctx, w.after)
			}
			f.replay(ctx, w, missed[w.after])
		default:
			w.stream.Send(live.Opening(f.window.newest()))
		}
		f.admit(w)
	}
}

// missed lists the events after id that followers have been told already; nil
// where they are too many or cannot be had.
func (f *feed) missed(ctx context.Context, id string) []api.Event {
	if !jobs.ValidID(id) {
		return nil
	}
	list, err := f.source.eventsAfter(ctx, id, maxReplay)
	if err != nil {
		f.complain("events", err)
	}
	if err != nil || len(list) >= maxReplay {
		return nil
	}
	return slices.DeleteFunc(append([]api.Event{}, list...), func(e api.Event) bool { return !f.window.had(e.ID) })
}

func (f *feed) replay(ctx context.Context, w *follower, list []api.Event) {
	if list == nil {
		w.stream.Send(live.Event(newsReset, f.window.newest(), []byte("{}"), newsReset))
		return
	}
	var past []*live.Message
	programs := f.programsOf(ctx, list, w.program != "")
	for _, e := range list {
		if m := message(newsEvent, e.ID, e, ""); m != nil && w.concerns(e.Job, programs[e.Job]) {
			past = append(past, m)
		}
	}
	w.stream.Send(live.Together(append(past, live.Opening(f.window.newest()))))
}

// nodesEvery is how often nodes are looked at; they beat every few seconds.
const nodesEvery = 2 * time.Second

// seenNode is a node and when it was heard of last.
type seenNode struct {
	news api.NodeNews
	beat time.Time
}

// nodeWatch is how the nodes stood when they were looked at last.
type nodeWatch struct {
	looked time.Time
	known  map[string]seenNode // by name and instance
}

// tellNodes tells what has become of nodes; it reports whether any has changed,
// if only by its heartbeat, for that brings figures.
func (f *feed) tellNodes(ctx context.Context, now time.Time) (changed bool) {
	if now.Sub(f.nodes.looked) < nodesEvery {
		return false
	}
	list, err := f.source.nodeNews(ctx)
	if err != nil {
		f.complain("nodes", err)
		return false
	}
	first, known := f.nodes.known == nil, map[string]seenNode{}
	for _, n := range list {
		key := n.news.Name + " " + n.news.Instance
		old := f.nodes.known[key]
		known[key] = n
		changed = changed || old != n
		if m := message(newsNode, "", n.news, newsNode+key); !first && old.news != n.news && m != nil {
			f.tell(m, newsNode, nil)
		}
	}
	f.nodes = nodeWatch{looked: now, known: known}
	return changed && !first
}
