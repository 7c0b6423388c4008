package worker

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/internal/retry"
	"github.com/runnerbean/runnerbean/worker/internal/program"
	"github.com/runnerbean/runnerbean/worker/internal/scheduler"
)

// maxPasses bounds the programs that are asked in vain for one turn.
const maxPasses = 8

// turns lets programs with jobs of the same priority take turns, since beanstalkd gives out
// the oldest message of all tubes. All executors share it.
type turns struct {
	queues   Queues
	programs *program.Registry
	tube     func(program string) string
	ack      *messageAck
	logger   *slog.Logger

	mu      sync.Mutex
	servers map[string]*serverTurns // by address
}

// serverTurns are the turns on one server.
type serverTurns struct {
	turns *scheduler.Scheduler
	looks retry.Pace
}

func newTurns(cfg *Config, programs *program.Registry, ack *messageAck) *turns {
	return &turns{
		queues: cfg.Queues, programs: programs, tube: cfg.tube, ack: ack, logger: cfg.Logger,
		servers: map[string]*serverTurns{},
	}
}

// of returns the turns of a server.
func (t *turns) of(addr string) *serverTurns {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.servers[addr]
	if s == nil {
		s = &serverTurns{turns: scheduler.New()}
		t.servers[addr] = s
	}
	return s
}

// take begins a turn. If it is that of another program with a job of the same priority, the
// held message is swapped for one of that program. m is the content of the held message and
// p its program. The caller ends the turn.
func (t *turns) take(ctx context.Context, held **queue.Delivery, m *runMessage, p **program.Program) *scheduler.Turn {
	name, weight := (*p).About.Name, (*p).About.Weight
	s := t.of((*held).Addr)
	t.look(ctx, s, (*held).Server)
	if !s.turns.Contended(name, weight) {
		return s.turns.Take(name, weight)
	}
	priority, known, err := t.queues.Priority(ctx, m.ID)
	if err != nil || !known {
		return s.turns.Take(name, weight) // the claim will report it
	}
	for range maxPasses {
		turn := s.turns.Next(name, weight, priority)
		if turn.Program == name {
			return turn
		}
		other, content, its := t.other(ctx, *held, name, turn, priority)
		if other == nil {
			turn.Passed()
			continue
		}
		if content.Program != turn.Program {
			turn.GivenBack()
			turn = s.turns.Found(content.Program, its.About.Weight, priority)
		}
		t.ack.putBack(ctx, *held, 0) // it may be more urgent than its job
		*held, *m, *p = other, content, its
		return turn
	}
	return s.turns.Take(name, weight)
}

// look looks at the queues if the scheduler asks for it. Beside an old snapshot PostgreSQL reads all
// jobs that have left a queue since then, so looks become slow.
func (t *turns) look(ctx context.Context, s *serverTurns, server string) {
	installed := t.programs.Current()
	began := time.Now()
	if !s.looks.Ready(began) || !s.turns.Look(began) {
		return
	}
	if len(installed.Programs) < 2 {
		s.turns.Looked(nil) // a single program takes no turns; others may have been removed
		return
	}
	heads, err := t.queues.Heads(ctx, server)
	s.looks.Took(time.Now(), time.Since(began))
	if err != nil {
		t.logger.Debug("cannot read which programs have due jobs", "err", err) // the claim will report it
		return
	}
	var due []scheduler.Due
	for _, h := range heads {
		if p := installed.Programs[h.Program]; p != nil && slices.Contains(installed.Tubes, t.tube(h.Program)) {
			due = append(due, scheduler.Due{Program: h.Program, Weight: p.About.Weight, Priority: h.Priority})
		}
	}
	s.turns.Looked(due)
}

// other reserves a message beside the held one, whose job is at least as urgent as a
// priority: of the program of the turn, or of one that is not known to have jobs. Only
// the tubes of programs that may not take the turn are left out, since each costs a command. It returns nil
// if there is no such message.
func (t *turns) other(ctx context.Context, held *queue.Delivery, own string, turn *scheduler.Turn, priority uint32) (*queue.Delivery, runMessage, *program.Program) {
	installed := t.programs.Current()
	tubes := make(map[string]bool, len(installed.Tubes))
	for _, tube := range installed.Tubes {
		tubes[tube] = true
	}
	if !tubes[t.tube(turn.Program)] {
		return nil, runMessage{}, nil // it has just been removed
	}
	for _, program := range append(turn.Others(), own) {
		delete(tubes, t.tube(program))
	}
	message, err := held.OtherOf(ctx, tubes)
	if err != nil || message == nil {
		return nil, runMessage{}, nil
	}
	m, err := readRunMessage(message.Body)
	if err != nil {
		t.ack.removeForeign(ctx, message, err)
		return nil, m, nil
	}
	p := installed.Programs[m.Program]
	// A job that the ledger does not know has no priority: the claim reports it.
	its, _, err := t.queues.Priority(ctx, m.ID)
	if p == nil || err != nil || its > priority {
		t.ack.putBack(ctx, message, 0)
		return nil, m, nil
	}
	return message, m, p
}
