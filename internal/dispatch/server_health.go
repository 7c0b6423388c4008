package dispatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// serversEvery is how old the answer of Servers may be.
	serversEvery = 5 * time.Second
	// serversLimit bounds one look. serversWait is how long a caller waits for it
	// before it gets the previous answer.
	serversLimit = 4 * time.Second
	serversWait  = time.Second
	// maxTubes is the largest number of tubes of one server that are counted.
	maxTubes = 500
)

// serverHealth measures the beanstalkd servers, at most one look at a time.
type serverHealth struct {
	addrs    []string
	producer *queue.Producer
	ledger   *ledger.Ledger
	tubes    tubes
	programs *knownPrograms
	paused   *pauseList
	shared   *sharedInboxes
	orphaned *orphanedInboxes
	overdue  *overdueMessages
	events   *eventRecorder

	mu      sync.Mutex
	at      time.Time
	list    []api.Server
	looking chan struct{} // closed at the end of the look under way; nil without one
	closed  bool
}

// servers returns the state of each server in the order of addrs.
func (h *serverHealth) servers(ctx context.Context) []api.Server {
	if looking := h.look(ctx); looking != nil {
		timer := time.NewTimer(serversWait)
		defer timer.Stop()
		select {
		case <-looking:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.list)
}

// look starts a look at the servers if the last one is old. It returns a channel
// that is closed at the end of the look under way, or nil.
func (h *serverHealth) look(ctx context.Context) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.looking != nil || h.closed || time.Since(h.at) < serversEvery {
		return h.looking
	}
	if h.list == nil {
		for _, addr := range h.addrs {
			h.list = append(h.list, api.Server{Addr: addr, State: api.ServerDown, Error: "it has not answered yet"})
		}
	}
	looking := make(chan struct{})
	h.looking = looking
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serversLimit)
		defer cancel()
		var list []api.Server
		h.events.guard(ctx, "servers", func() { list = h.read(ctx) })
		h.overdue.keep(list)
		h.mu.Lock()
		defer h.mu.Unlock()
		noteStates(list, h.list, time.Now())
		h.list, h.at, h.looking = list, time.Now(), nil
		close(looking)
	}()
	return looking
}

// close waits for the look under way. The caller has closed the producer, which
// ends it.
func (h *serverHealth) close() {
	h.mu.Lock()
	h.closed = true
	looking := h.looking
	h.mu.Unlock()
	if looking != nil {
		<-looking
	}
}

func (h *serverHealth) read(ctx context.Context) []api.Server {
	found, _ := h.producer.Servers(ctx) // each has its own error
	tubes := h.usedTubes(ctx)
	list := make([]api.Server, len(found))
	var group sync.WaitGroup
	for i, s := range found {
		list[i] = serverOf(s)
		list[i].Shared, list[i].Orphaned = h.shared.of(s.Addr), h.orphaned.of(s.Addr)
		if s.Err == nil {
			group.Go(func() { h.events.guard(ctx, "servers", func() { h.count(ctx, &list[i], tubes) }) })
		}
	}
	group.Wait()
	return list
}

// noteStates sets since when each server is in its state. A state that was there at the look
// before keeps its time.
func noteStates(list, before []api.Server, now time.Time) {
	for i := range list {
		s := &list[i]
		if !s.OK {
			s.State = api.ServerDown
		}
		s.Since = now.UTC().Truncate(time.Second)
		if i < len(before) && before[i].State == s.State && !before[i].Since.IsZero() {
			s.Since = before[i].Since
		}
	}
}

// stateOf returns the state of a server that answers.
func stateOf(s queue.Server) api.ServerState {
	switch {
	case s.Stats["draining"] == "true":
		return api.ServerDraining
	case errors.Is(s.Refused, queue.ErrFull), errors.Is(s.Refused, queue.ErrRefused):
		return api.ServerFull
	case s.Slow:
		return api.ServerSlow
	}
	return api.ServerUp
}

func serverOf(s queue.Server) api.Server {
	if s.Err != nil {
		return api.Server{Addr: s.Addr, Error: s.Err.Error()}
	}
	return api.Server{
		Addr: s.Addr, OK: true, State: stateOf(s), Version: unquoted(s.Version), ID: s.ID,
		Uptime: float64(integer(s.Stats["uptime"])), Draining: s.Stats["draining"] == "true",
		Memory: serverRSS(unquoted(s.Stats["hostname"]), int(integer(s.Stats["pid"]))),
	}
}

// usedTubes returns the tubes that the nodes of this ledger use.
func (h *serverHealth) usedTubes(ctx context.Context) []string {
	common := queue.InboxTube(h.tubes.prefix)
	var list []string
	if h.tubes.inbox == InboxShared {
		list = append(list, common)
	}
	nodes, err := h.ledger.Nodes.List(ctx)
	h.events.warn(ctx, "cannot ask for the nodes' inboxes", err)
	for _, n := range nodes {
		if n.Alive || n.Name == h.tubes.node {
			list = append(list, common+"/"+n.Name)
		}
	}
	names, err := h.programs.list(ctx)
	h.events.warn(ctx, "cannot ask for the programs", err)
	for _, name := range names {
		list = append(list, h.tubes.run(name))
	}
	return list[:min(len(list), maxTubes)]
}

// count adds up the messages on the tubes of one server.
func (h *serverHealth) count(ctx context.Context, s *api.Server, tubes []string) {
	seen := map[string]bool{}
	for _, tube := range tubes {
		if seen[tube] || queue.ValidTube(tube) != nil {
			continue
		}
		seen[tube] = true
		stats, err := h.producer.TubeStats(ctx, s.Addr, tube)
		if err != nil {
			s.OK, s.Error = false, err.Error()
			return
		}
		h.paused.see(s.Addr, tube, h.tubes.program(tube), stats)
		if h.tubes.program(tube) == "" {
			s.Inbox += integer(stats["current-jobs-ready"]) + integer(stats["current-jobs-reserved"]) + integer(stats["current-jobs-delayed"])
		}
		s.Ready += integer(stats["current-jobs-ready"])
		s.Reserved += integer(stats["current-jobs-reserved"])
		s.Delayed += integer(stats["current-jobs-delayed"])
		s.Buried += integer(stats["current-jobs-buried"])
	}
	s.Paused = h.paused.of(s.Addr)
	if h.tubes.inbox == InboxNode {
		n, err := UnreadInbox(ctx, h.producer, s.Addr, h.tubes.prefix)
		h.events.warn(ctx, "cannot look at the common inbox", err)
		s.UnreadInbox = n
	}
	if s.Reserved > 0 {
		s.Overdue = h.overdue.count(ctx, s)
	}
}
