package dispatch

import (
	"context"
	"slices"
	"sync"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// maxChecked is the largest number of messages of all queues that one round of
	// the reconciler checks; headSize of them are at the head of each queue.
	maxChecked = 500
	headSize   = 20
	// maxOverdue is the largest number of overdue messages of one server that are
	// remembered.
	maxOverdue = 256
)

// overdueMessages counts the messages that beanstalkd should have taken back from
// their owner but has not.
type overdueMessages struct {
	ledger   *ledger.Ledger
	producer *queue.Producer
	events   *eventRecorder

	mu sync.Mutex
	// replaced are overdue messages for which another one was put, by the id of the
	// server's instance.
	replaced map[string][]uint64
}

// count returns the number of overdue messages at the head of each queue of a
// server and among those that were replaced before.
func (o *overdueMessages) count(ctx context.Context, s *api.Server) int64 {
	messages := slices.Concat(o.heads(ctx, s.ID), o.replacedOn(s.ID))
	slices.Sort(messages)
	messages = slices.Compact(messages)
	stats, err := o.producer.MessageStats(ctx, s.Addr, messages)
	if err != nil {
		o.events.warn(ctx, "cannot look for overdue messages", err)
		return 0
	}
	var n int64
	for i, m := range stats {
		if isOverdue(m) {
			n++
		} else {
			o.remove(s.ID, messages[i])
		}
	}
	return n
}

// heads returns the messages at the head of each queue on a server.
func (o *overdueMessages) heads(ctx context.Context, server string) (messages []uint64) {
	for program := ""; len(messages) < maxChecked; {
		next, err := o.ledger.NextQueue(ctx, server, program)
		if err != nil || next == "" {
			return messages
		}
		program = next
		list, err := o.ledger.Queue(ctx, server, program, ledger.Placed{}, headSize)
		if err != nil {
			return messages
		}
		messages = append(messages, messageIDs(list)...)
	}
	return messages
}

func messageIDs(list []ledger.Placed) []uint64 {
	ids := make([]uint64, len(list))
	for i, p := range list {
		ids[i] = p.Message
	}
	return ids
}

func (o *overdueMessages) replacedOn(server string) []uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.replaced[server]
}

// add remembers an overdue message for which another one was put.
func (o *overdueMessages) add(server string, message uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.replaced == nil {
		o.replaced = map[string][]uint64{}
	}
	if list := o.replaced[server]; len(list) < maxOverdue {
		o.replaced[server] = append(slices.Clip(list), message)
	}
}

// remove forgets a message that is no longer overdue.
func (o *overdueMessages) remove(server string, message uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.replaced[server], message); i >= 0 {
		o.replaced[server] = slices.Delete(slices.Clone(o.replaced[server]), i, i+1)
	}
}

// keep forgets the instances of servers that have ended.
func (o *overdueMessages) keep(servers []api.Server) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.replaced {
		if !slices.ContainsFunc(servers, func(s api.Server) bool { return s.ID == id || !s.OK }) {
			delete(o.replaced, id)
		}
	}
}
