package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// partSize is how many messages behind the head of a queue one round checks.
	partSize = 50
	// checkAfter is how long a job is left alone after it has changed.
	checkAfter = 10 * time.Second
	// lateBy is how much longer than asked a message may be delayed: nodes without
	// the program put it off for about 20 seconds.
	lateBy = time.Minute
	// maxSuspects and forgetSuspects bound what is remembered between rounds.
	maxSuspects    = 10_000
	forgetSuspects = time.Minute
)

// messageCheck asks beanstalkd whether the messages of queued jobs exist and can
// be reserved. Each round checks the head of each queue and a part of the rest. A
// missing message is found at the latest when it reaches the head.
type messageCheck struct {
	ledger   *ledger.Ledger
	producer *queue.Producer
	tubes    tubes
	resender *resender
	overdue  *overdueMessages
	events   *eventRecorder

	next     map[queueName]ledger.Placed // where the next part of a queue begins
	suspects map[string]suspect          // by job
	last     queueName                   // the queue that was checked last
	now      func() time.Time
}

type queueName struct{ server, program string }

// suspect is a message that somebody holds although its job is queued.
type suspect struct {
	message uint64
	since   time.Time
}

// run checks some messages on each server.
func (c *messageCheck) run(ctx context.Context, living map[string]string) {
	for name := range c.next {
		if living[name.server] == "" {
			delete(c.next, name)
		}
	}
	for id, s := range c.suspects {
		if c.now().Sub(s.since) > forgetSuspects {
			delete(c.suspects, id)
		}
	}
	for server, addr := range living {
		c.events.warn(ctx, "cannot look after the messages of queued jobs", c.server(ctx, server, addr))
	}
}

// server checks the queues of one server, one after the other. It begins behind
// the queue that was checked last in the round before.
func (c *messageCheck) server(ctx context.Context, server, addr string) error {
	program := ""
	if c.last.server == server {
		program = c.last.program
	}
	for checked, wrapped := 0, program == ""; checked < maxChecked; {
		next, err := c.ledger.NextQueue(ctx, server, program)
		if err != nil {
			return err
		}
		if next == "" && wrapped {
			break
		}
		program, wrapped = next, wrapped || next == ""
		if next == "" {
			continue
		}
		n, err := c.queue(ctx, queueName{server, program}, addr)
		if err != nil {
			return err
		}
		checked += n
	}
	c.last = queueName{server, program}
	return nil
}

// queue checks one queue and returns the number of messages that it checked.
func (c *messageCheck) queue(ctx context.Context, name queueName, addr string) (int, error) {
	list, err := c.ledger.Queue(ctx, name.server, name.program, ledger.Placed{}, headSize)
	if err != nil {
		return 0, err
	}
	if len(list) == headSize {
		part, err := c.ledger.Queue(ctx, name.server, name.program, c.next[name], partSize)
		if err != nil {
			return 0, err
		}
		delete(c.next, name)
		if len(part) == partSize {
			c.next[name] = part[partSize-1]
		}
		list = append(list, part...)
	}
	stats, err := c.producer.MessageStats(ctx, addr, messageIDs(list))
	if err != nil {
		return 0, err
	}
	return len(list), c.replace(ctx, addr, list, stats)
}

// replace puts new messages for the jobs whose messages are useless, and removes
// those.
func (c *messageCheck) replace(ctx context.Context, addr string, list []ledger.Placed, stats []map[string]string) error {
	now := c.now()
	found := map[string]finding{}
	var bad []ledger.Placed
	for i, p := range list {
		if found[p.ID].reason != "" || now.Sub(p.Updated).Abs() < checkAfter {
			continue
		}
		if f := c.check(now, p, stats[i]); f.reason != "" {
			found[p.ID], bad = f, append(bad, p)
		}
	}
	bad, err := c.resender.unchanged(ctx, bad)
	if err != nil || len(bad) == 0 {
		return err
	}
	var useless []uint64
	for _, p := range bad {
		if found[p.ID].remove {
			useless = append(useless, p.Message)
		}
		if found[p.ID].overdue {
			c.overdue.add(p.Server, p.Message)
		}
	}
	if err := c.resender.resend(ctx, bad, func(p ledger.Placed) string { return found[p.ID].reason }); err != nil {
		return nil // resend has logged it; the next round tries again
	}
	return c.producer.Remove(ctx, addr, useless)
}

// finding says why a message is useless. The zero value stands for a good message.
type finding struct {
	reason  string
	remove  bool // the message can be removed
	overdue bool // it is reserved although its time to run has passed
}

// check returns what is wrong with the message of a queued job.
func (c *messageCheck) check(now time.Time, p ledger.Placed, stats map[string]string) finding {
	if stats == nil {
		return finding{reason: fmt.Sprintf("message %d is not on beanstalkd any more", p.Message)}
	}
	if tube := stats["tube"]; tube != c.tubes.run(p.Program) {
		return finding{reason: fmt.Sprintf("message %d is not its own: it is on tube %s", p.Message, tube)}
	}
	left := seconds(stats["time-left"])
	switch stats["state"] {
	case "reserved":
		return c.checkReserved(now, p, left)
	case "delayed":
		if late := left - p.Wait(now); late > lateBy {
			return finding{reason: fmt.Sprintf("message %d is delayed for %s more than was asked; has the clock of beanstalkd been changed?", p.Message, late.Round(time.Second)), remove: true}
		}
	case "buried":
		return finding{reason: fmt.Sprintf("message %d was buried by somebody", p.Message), remove: true}
	}
	delete(c.suspects, p.ID)
	return finding{}
}

// checkReserved is about a message that is reserved although its job is queued. A
// node claims the job at once or releases the message, so any other owner will
// never run the job. beanstalkd may not take the message back in time, see
// isOverdue.
func (c *messageCheck) checkReserved(now time.Time, p ledger.Placed, left time.Duration) finding {
	if left < 0 {
		return finding{overdue: true, reason: fmt.Sprintf("message %d is held although its time to run passed %s ago (time-left %d): beanstalkd does not take it back", p.Message, -left, int(left.Seconds()))}
	}
	if p.RunsAlone() {
		return finding{} // the node holds it until nothing else runs there
	}
	s, known := c.suspects[p.ID]
	if !known || s.message != p.Message {
		if len(c.suspects) < maxSuspects {
			c.suspects[p.ID] = suspect{message: p.Message, since: now}
		}
		return finding{}
	}
	if now.Sub(s.since) < checkAfter {
		return finding{}
	}
	delete(c.suspects, p.ID)
	return finding{reason: fmt.Sprintf("message %d has been held for more than %s by somebody who does not run the job", p.Message, checkAfter)}
}
