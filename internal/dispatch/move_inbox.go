package dispatch

import (
	"context"
	"errors"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// InboxMove moves the messages of one inbox to another, on each server for itself. Each
// message is deleted once the server has answered that it has the copy. Killed between
// the two, it is there twice, and the ledger accepts its documents once.
type InboxMove struct {
	Queue  queue.Config
	Prefix string
	// From is the node whose inbox is emptied. To is the node that gets its messages;
	// "" means the common inbox.
	From, To string
	// DryRun only counts.
	DryRun bool
	// Progress is called after each message with the number of those moved. It may be nil.
	Progress func(moved int64)
}

// Moved is what an InboxMove has done.
type Moved struct {
	// Messages is how many were moved, or would be. A message has one document or several.
	Messages int64 `json:"messages"`
	// Buried is how many stay, because they could not be recorded and wait for a person.
	Buried int64 `json:"buried"`
}

// Run moves the messages that are there at its begin, and those that come meanwhile but
// for the last. It refuses an inbox from which a node takes, and one to which nobody
// would come for them. After an error some messages are moved, and Run may be repeated.
func (m InboxMove) Run(ctx context.Context) (done Moved, err error) {
	for _, node := range []string{m.From, m.To} {
		if err := queue.ValidTube(inboxOf(m.Prefix, node)); err != nil {
			return done, err
		}
	}
	if m.From == "" || m.From == m.To {
		return done, errors.New("say whose messages to move, and to which other inbox")
	}
	m.Queue.MaxBody = jobs.MaxDocument
	for _, addr := range m.Queue.Addrs {
		if err := m.server(ctx, addr, &done); err != nil {
			return done, fmt.Errorf("beanstalkd at %s: %w", addr, err)
		}
	}
	return done, nil
}

func (m InboxMove) server(ctx context.Context, addr string, done *Moved) error {
	m.Queue.Addrs = []string{addr}
	p, err := queue.NewProducer(m.Queue)
	if err != nil {
		return err
	}
	defer p.Close()
	from, err := p.TubeStats(ctx, addr, inboxOf(m.Prefix, m.From))
	if err != nil {
		return err
	}
	done.Buried += integer(from["current-jobs-buried"])
	wanted := integer(from["current-jobs-ready"]) + integer(from["current-jobs-delayed"])
	if wanted == 0 {
		return nil
	}
	if from["current-watching"] != "0" {
		return fmt.Errorf("a node takes from %s now", inboxOf(m.Prefix, m.From))
	}
	to, err := p.TubeStats(ctx, addr, inboxOf(m.Prefix, m.To))
	if err != nil {
		return err
	}
	if n := integer(to["current-watching"]); n == 0 {
		return fmt.Errorf("no node takes from %s; start one first, or move the messages elsewhere", inboxOf(m.Prefix, m.To))
	}
	if m.DryRun {
		done.Messages += wanted
		return nil
	}
	for _, state := range []queue.TubeState{queue.Ready, queue.Delayed} {
		for range wanted {
			more, err := m.one(ctx, p, addr, state, done)
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
	}
	return nil
}

// one moves the first message of the inbox in a state, and counts it. It reports whether
// there was one.
func (m InboxMove) one(ctx context.Context, p *queue.Producer, addr string, state queue.TubeState, done *Moved) (bool, error) {
	id, body, err := p.First(ctx, addr, inboxOf(m.Prefix, m.From), state)
	if errors.Is(err, queue.ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	stats, err := p.MessageStats(ctx, addr, []uint64{id})
	if err != nil {
		return false, err
	}
	if stats[0] == nil {
		return true, nil // another client has just taken it
	}
	message := queue.Message{
		Tube: inboxOf(m.Prefix, m.To), Body: body, Priority: uint32(integer(stats[0]["pri"])), TTR: seconds(stats[0]["ttr"]),
	}
	if state == queue.Delayed {
		message.Delay = seconds(stats[0]["time-left"])
	}
	if _, err := p.Put(ctx, message); err != nil {
		return false, fmt.Errorf("message %d: %w", id, err)
	}
	if err := p.Remove(ctx, addr, []uint64{id}); err != nil {
		return false, err
	}
	done.Messages++
	if m.Progress != nil {
		m.Progress(done.Messages)
	}
	return true, nil
}
