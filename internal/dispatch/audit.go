package dispatch

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
)

const (
	// maxAudited is how many messages one round looks at, of all queues together;
	// atHead of them at the head of each queue.
	maxAudited = 500
	atHead     = 20
	inTurn     = 50
	// auditAfter is how long a job is left alone after it has changed.
	auditAfter = 10 * time.Second
	// lateBy is how much longer than asked a message may be delayed: nodes without
	// the program put it off for some 20 seconds.
	lateBy = time.Minute
	// maxSuspects and forgetSuspects bound what is remembered between rounds.
	maxSuspects    = 10_000
	forgetSuspects = time.Minute
)

// audit asks beanstalkd whether the messages of queued jobs are there and can
// be reserved. Every round looks at the head of each queue, where a missing
// message is found at the latest when it is its turn, and at a part of the rest.
type audit struct {
	*Dispatcher
	place    map[queueName]ledger.Placed // where the next part of a queue begins
	suspects map[string]suspect          // by job
	last     queueName                   // the queue that was looked at last
	now      func() time.Time
}

type queueName struct{ server, program string }

// suspect is a message that somebody held although its job is queued.
type suspect struct {
	message uint64
	since   time.Time
}

func newAudit(d *Dispatcher) *audit {
	return &audit{Dispatcher: d, place: map[queueName]ledger.Placed{}, suspects: map[string]suspect{}, now: time.Now}
}

// run looks at some messages on each server.
func (a *audit) run(ctx context.Context, living map[string]string) {
	for name := range a.place {
		if living[name.server] == "" {
			delete(a.place, name)
		}
	}
	for id, s := range a.suspects {
		if a.now().Sub(s.since) > forgetSuspects {
			delete(a.suspects, id)
		}
	}
	for server, addr := range living {
		if err := a.server(ctx, server, addr); err != nil {
			a.warn(ctx, "cannot look after the messages of queued jobs", err)
		}
	}
}

// server looks at the queues of one server, one after the other, beginning
// behind the one that was the last in the round before.
func (a *audit) server(ctx context.Context, server, addr string) error {
	program := ""
	if a.last.server == server {
		program = a.last.program
	}
	for looked, wrapped := 0, program == ""; looked < maxAudited; {
		next, err := a.cfg.Ledger.NextQueue(ctx, server, program)
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
		n, err := a.queue(ctx, queueName{server, program}, addr)
		if err != nil {
			return err
		}
		looked += n
	}
	a.last = queueName{server, program}
	return nil
}

// queue looks at one queue and puts new messages where it has to.
func (a *audit) queue(ctx context.Context, name queueName, addr string) (int, error) {
	list, err := a.cfg.Ledger.Queue(ctx, name.server, name.program, ledger.Placed{}, atHead)
	if err != nil {
		return 0, err
	}
	if len(list) == atHead {
		part, err := a.cfg.Ledger.Queue(ctx, name.server, name.program, a.place[name], inTurn)
		if err != nil {
			return 0, err
		}
		delete(a.place, name)
		if len(part) == inTurn {
			a.place[name] = part[inTurn-1]
		}
		list = append(list, part...)
	}
	stats, err := a.producer.MessageStats(ctx, addr, numbers(list))
	if err != nil {
		return 0, err
	}
	return len(list), a.heal(ctx, addr, list, stats)
}

// heal puts new messages for the jobs whose own are of no use.
func (a *audit) heal(ctx context.Context, addr string, list []ledger.Placed, stats []map[string]string) error {
	now := a.now()
	reasons := map[string]string{}
	var bad []ledger.Placed
	var useless []uint64
	for i, p := range list {
		if reasons[p.ID] != "" || now.Sub(p.Updated).Abs() < auditAfter {
			continue
		}
		v := a.judge(now, p, stats[i])
		if v.reason == "" {
			continue
		}
		reasons[p.ID] = v.reason
		bad = append(bad, p)
		if v.remove {
			useless = append(useless, p.Message)
		}
		if v.overdue {
			a.health.giveUp(p.Server, p.Message)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	if err := a.again(ctx, bad, func(p ledger.Placed) string { return reasons[p.ID] }); err != nil {
		return nil // reported; the next round tries again
	}
	return a.producer.Remove(ctx, addr, useless)
}

// verdict is why a message is of no use, and whether it can be removed.
type verdict struct {
	reason  string
	remove  bool
	overdue bool // held for longer than it may be
}

// judge says what is wrong with the message of a queued job.
func (a *audit) judge(now time.Time, p ledger.Placed, stats map[string]string) verdict {
	if stats == nil {
		return verdict{reason: fmt.Sprintf("message %d is not on beanstalkd any more", p.Message)}
	}
	if tube := stats["tube"]; tube != a.runTube(p.Program) {
		return verdict{reason: fmt.Sprintf("message %d is not its own: it is on tube %s", p.Message, tube)}
	}
	left := seconds(stats["time-left"])
	switch stats["state"] {
	case "reserved":
		return a.judgeHeld(now, p, left)
	case "delayed":
		if late := left - p.Wait(now); late > lateBy {
			return verdict{reason: fmt.Sprintf("message %d is delayed for %s more than was asked; has the clock of beanstalkd been changed?", p.Message, late.Round(time.Second)), remove: true}
		}
	case "buried":
		return verdict{reason: fmt.Sprintf("message %d was buried by somebody", p.Message), remove: true}
	}
	delete(a.suspects, p.ID)
	return verdict{}
}

// judgeHeld is about a message that is reserved although its job is queued. A
// node claims the job at once or gives the message back; who does not will
// never, and beanstalkd may not take it from them in time: while a connection
// is open and idle its time to run often passes without effect, which a
// negative time-left shows.
func (a *audit) judgeHeld(now time.Time, p ledger.Placed, left time.Duration) verdict {
	if left < 0 {
		return verdict{overdue: true, reason: fmt.Sprintf("message %d is held although its time to run passed %s ago (time-left %d): beanstalkd does not take it back", p.Message, -left, int(left.Seconds()))}
	}
	if p.RunsAlone() {
		return verdict{} // the node keeps hold of it until nothing else runs there
	}
	s, known := a.suspects[p.ID]
	if !known || s.message != p.Message {
		if len(a.suspects) < maxSuspects {
			a.suspects[p.ID] = suspect{message: p.Message, since: now}
		}
		return verdict{}
	}
	if now.Sub(s.since) < auditAfter {
		return verdict{}
	}
	delete(a.suspects, p.ID)
	return verdict{reason: fmt.Sprintf("message %d has been held for more than %s by somebody who does not run the job", p.Message, auditAfter)}
}

// seconds reads a number of seconds as beanstalkd gives it.
func seconds(text string) time.Duration {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	const most = math.MaxUint32 // of any time that beanstalkd can be told
	return time.Duration(min(max(n, -most), most)) * time.Second
}
