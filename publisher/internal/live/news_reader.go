package live

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// readBatch is how many jobs are read at once.
	readBatch = 1000
	// maxReplay is how many missed events are too many to send.
	maxReplay = 1000
	// nodesEvery is how often nodes are read; their heartbeats come every few seconds.
	nodesEvery = 2 * time.Second
)

// newsReader reads news and remembers what has been sent.
type newsReader struct {
	source Source
	log    *slog.Logger

	window   eventWindow
	replayed map[string][]api.Event // missed events by the id after which, within one round

	nodesRead time.Time
	known     map[string]Node // by name and instance
}

// forget makes the reader start again with what comes next.
func (r *newsReader) forget() {
	r.window, r.nodesRead, r.known = eventWindow{}, time.Time{}, nil
}

func (r *newsReader) complain(what string, err error) {
	if err != nil && !errors.Is(err, context.Canceled) {
		r.log.Error("could not read what the event streams should tell", slog.String("what", what), slog.Any("err", err))
	}
}

// jobs returns news of jobs, up to the first failure.
func (r *newsReader) jobs(ctx context.Context, ids []string) []api.JobNews {
	var list []api.JobNews
	for batch := range slices.Chunk(ids, readBatch) {
		found, err := r.source.Jobs(ctx, batch)
		if err != nil {
			r.complain("jobs", err)
			break
		}
		list = append(list, found...)
	}
	return list
}

// reads reports whether freshEvents has been called, so that the next call returns what is new.
func (r *newsReader) reads() bool { return r.window.seen != nil }

// freshEvents returns the events that are new. The first call returns none: all that
// is there is old.
func (r *newsReader) freshEvents(ctx context.Context, now time.Time) []api.Event {
	first := !r.reads()
	fresh, err := r.window.read(ctx, now, r.source)
	r.complain("events", err)
	if first {
		return nil
	}
	return fresh
}

// programsOf returns the programs of the jobs that events are about, if asked for.
func (r *newsReader) programsOf(ctx context.Context, list []api.Event, asked bool) map[string]string {
	if !asked {
		return nil
	}
	programs := map[string]string{}
	for _, e := range list {
		if e.Job != "" {
			programs[e.Job] = ""
		}
	}
	for _, job := range r.jobs(ctx, slices.Collect(maps.Keys(programs))) {
		programs[job.ID] = job.Program
	}
	return programs
}

// replay returns the message with the events that f has missed.
func (r *newsReader) replay(ctx context.Context, f *Follower) *Message {
	list := r.missed(ctx, f.After)
	if list == nil {
		return Event(typeReset, r.window.newest(), []byte("{}"), typeReset)
	}
	var past []*Message
	programs := r.programsOf(ctx, list, f.Program != "")
	for _, e := range list {
		if m := message(TypeEvent, e.ID, e, ""); m != nil && f.concerns(e.Job, programs[e.Job]) {
			past = append(past, m)
		}
	}
	return Together(append(past, Opening(r.window.newest())))
}

// missed returns the events after id that followers have been sent already, or nil if
// they are too many or cannot be read. Many who resume after one id cost one reading.
func (r *newsReader) missed(ctx context.Context, id string) []api.Event {
	if list, ok := r.replayed[id]; ok {
		return list
	}
	if r.replayed == nil {
		r.replayed = map[string][]api.Event{}
	}
	r.replayed[id] = nil
	if !jobs.ValidID(id) {
		return nil
	}
	list, err := r.source.EventsAfter(ctx, id, maxReplay)
	r.complain("events", err)
	if err == nil && len(list) < maxReplay {
		r.replayed[id] = slices.DeleteFunc(append([]api.Event{}, list...), func(e api.Event) bool { return !r.window.had(e.ID) })
	}
	return r.replayed[id]
}

// changedNodes returns the nodes with news, and whether any node has changed, if only
// by its heartbeat. The first call returns none.
func (r *newsReader) changedNodes(ctx context.Context, now time.Time) (list []api.NodeNews, changed bool) {
	if now.Sub(r.nodesRead) < nodesEvery {
		return nil, false
	}
	found, err := r.source.Nodes(ctx)
	if err != nil {
		r.complain("nodes", err)
		return nil, false
	}
	first, known := r.known == nil, map[string]Node{}
	for _, n := range found {
		key := nodeKey(n.News)
		old := r.known[key]
		known[key] = n
		changed = changed || old != n
		if !first && old.News != n.News {
			list = append(list, n.News)
		}
	}
	r.nodesRead, r.known = now, known
	return list, changed && !first
}

func nodeKey(n api.NodeNews) string { return n.Name + " " + n.Instance }

// message returns v as an event, or nil if v cannot be written.
func message(kind, id string, v any, key string) *Message {
	body, err := httpio.Marshal(v)
	if err != nil {
		return nil
	}
	return Event(kind, id, body, key)
}
