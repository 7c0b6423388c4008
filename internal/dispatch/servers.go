package dispatch

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// serversEvery is how old the answer of Servers may be.
	serversEvery = 5 * time.Second
	// serversLimit bounds one look, serversWait how long a caller waits for it
	// before it gets what was known before.
	serversLimit = 4 * time.Second
	serversWait  = time.Second
	// maxTubes is how many tubes of one server are counted.
	maxTubes = 500
	// maxOverdue is how many overdue messages of one server are remembered.
	maxOverdue = 256
)

// health is what is known of the beanstalkd servers.
type health struct {
	mu      sync.Mutex
	at      time.Time
	list    []api.Server
	looking chan struct{} // closed at the end of the look under way; nil without one
	closed  bool
	// overdue are messages that were given up since nobody gives them back, by
	// the server's instance.
	overdue map[string][]uint64
}

// Servers says how each beanstalkd server is, in the order of Config.Queue. It
// is at most some seconds old, or as it was known last where one does not answer.
func (d *Dispatcher) Servers(ctx context.Context) []api.Server {
	if looking := d.look(ctx); looking != nil {
		timer := time.NewTimer(serversWait)
		defer timer.Stop()
		select {
		case <-looking:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	d.health.mu.Lock()
	defer d.health.mu.Unlock()
	return append([]api.Server(nil), d.health.list...)
}

// look starts a look at the servers if it is time for one, and returns what is
// closed at the end of the one under way.
func (d *Dispatcher) look(ctx context.Context) <-chan struct{} {
	h := &d.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.looking != nil || h.closed || time.Since(h.at) < serversEvery {
		return h.looking
	}
	if h.list == nil {
		for _, addr := range d.cfg.Queue.Addrs {
			h.list = append(h.list, api.Server{Addr: addr, Error: "it has not answered yet"})
		}
	}
	looking := make(chan struct{})
	h.looking = looking
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), serversLimit)
		defer cancel()
		var list []api.Server
		d.guard(ctx, "servers", func() { list = d.readServers(ctx) })
		h.mu.Lock()
		defer h.mu.Unlock()
		h.list, h.at, h.looking = list, time.Now(), nil
		h.keep(list)
		close(looking)
	}()
	return looking
}

// stopLooking waits for the look under way, once the producer is closed.
func (h *health) stopLooking() {
	h.mu.Lock()
	h.closed = true
	looking := h.looking
	h.mu.Unlock()
	if looking != nil {
		<-looking
	}
}

func (d *Dispatcher) readServers(ctx context.Context) []api.Server {
	found, _ := d.producer.Servers(ctx) // each has its own error
	tubes := d.tubes(ctx)
	list := make([]api.Server, len(found))
	var group sync.WaitGroup
	for i, s := range found {
		list[i] = serverOf(s)
		list[i].Shared = d.survey.sharedInboxes(s.Addr)
		if s.Err == nil {
			group.Go(func() { d.guard(ctx, "servers", func() { d.count(ctx, &list[i], tubes) }) })
		}
	}
	group.Wait()
	return list
}

func serverOf(s queue.Server) api.Server {
	if s.Err != nil {
		return api.Server{Addr: s.Addr, Error: s.Err.Error()}
	}
	return api.Server{
		Addr: s.Addr, OK: true, Version: unquoted(s.Version), ID: s.ID,
		Uptime: float64(integer(s.Stats["uptime"])), Draining: s.Stats["draining"] == "true",
		Memory: memoryOf(unquoted(s.Stats["hostname"]), int(integer(s.Stats["pid"]))),
	}
}

// tubes are those that this system uses, as far as the ledger knows.
func (d *Dispatcher) tubes(ctx context.Context) []string {
	common := queue.InboxTube(d.cfg.Prefix)
	var tubes []string
	if d.cfg.Inbox == InboxShared {
		tubes = append(tubes, common)
	}
	nodes, err := d.cfg.Ledger.Nodes(ctx)
	d.warn(ctx, "cannot ask for the nodes' inboxes", err)
	for _, n := range nodes {
		if n.Alive || n.Name == d.cfg.Node {
			tubes = append(tubes, common+"/"+n.Name)
		}
	}
	names, err := d.known.list(ctx)
	d.warn(ctx, "cannot ask for the programs", err)
	for _, name := range names {
		tubes = append(tubes, d.runTube(name))
	}
	return tubes[:min(len(tubes), maxTubes)]
}

// count adds up the tubes of one server and looks for overdue messages.
func (d *Dispatcher) count(ctx context.Context, s *api.Server, tubes []string) {
	seen := map[string]bool{}
	for _, tube := range tubes {
		if seen[tube] || queue.ValidTube(tube) != nil {
			continue
		}
		seen[tube] = true
		stats, err := d.producer.TubeStats(ctx, s.Addr, tube)
		if err != nil {
			s.OK, s.Error = false, err.Error()
			return
		}
		d.pauses.see(s.Addr, tube, d.programOf(tube), stats)
		s.Ready += integer(stats["current-jobs-ready"])
		s.Reserved += integer(stats["current-jobs-reserved"])
		s.Delayed += integer(stats["current-jobs-delayed"])
		s.Buried += integer(stats["current-jobs-buried"])
	}
	s.Paused = d.pauses.of(s.Addr)
	if d.cfg.Inbox == InboxNode {
		n, err := UnreadInbox(ctx, d.producer, s.Addr, d.cfg.Prefix)
		d.warn(ctx, "cannot look at the common inbox", err)
		s.UnreadInbox = n
	}
	if s.Reserved > 0 {
		s.Overdue = d.countOverdue(ctx, s)
	}
}

// countOverdue looks at the heads of the queues, and at what was given up before.
func (d *Dispatcher) countOverdue(ctx context.Context, s *api.Server) int64 {
	messages := slices.Concat(d.heads(ctx, s.ID), d.health.givenUp(s.ID))
	slices.Sort(messages)
	messages = slices.Compact(messages)
	stats, err := d.producer.MessageStats(ctx, s.Addr, messages)
	if err != nil {
		d.warn(ctx, "cannot look for overdue messages", err)
		return 0
	}
	var n int64
	for i, m := range stats {
		if overdue(m) {
			n++
		} else {
			d.health.forget(s.ID, messages[i])
		}
	}
	return n
}

// heads are the messages at the head of each queue on a server.
func (d *Dispatcher) heads(ctx context.Context, server string) (messages []uint64) {
	for program := ""; len(messages) < maxAudited; {
		next, err := d.cfg.Ledger.NextQueue(ctx, server, program)
		if err != nil || next == "" {
			return messages
		}
		program = next
		list, err := d.cfg.Ledger.Queue(ctx, server, program, ledger.Placed{}, atHead)
		if err != nil {
			return messages
		}
		messages = append(messages, numbers(list)...)
	}
	return messages
}

// overdue: beanstalkd does not take the message back though it should have.
func overdue(stats map[string]string) bool {
	return stats["state"] == "reserved" && seconds(stats["time-left"]) < 0
}

func (h *health) givenUp(server string) []uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.overdue[server]
}

// giveUp remembers an overdue message that another one stands in for.
func (h *health) giveUp(server string, message uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.overdue == nil {
		h.overdue = map[string][]uint64{}
	}
	if list := h.overdue[server]; len(list) < maxOverdue {
		h.overdue[server] = append(slices.Clip(list), message)
	}
}

// forget is for one that is overdue no more.
func (h *health) forget(server string, message uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.overdue[server], message); i >= 0 {
		h.overdue[server] = slices.Delete(slices.Clone(h.overdue[server]), i, i+1)
	}
}

// keep forgets the instances of servers that have ended.
func (h *health) keep(list []api.Server) {
	for id := range h.overdue {
		if !slices.ContainsFunc(list, func(s api.Server) bool { return s.ID == id || !s.OK }) {
			delete(h.overdue, id)
		}
	}
}

// integer reads a number of beanstalkd's statistics; 0 where there is none.
func integer(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// unquoted: newer servers put texts in quotes.
func unquoted(text string) string { return strings.Trim(text, `"`) }
