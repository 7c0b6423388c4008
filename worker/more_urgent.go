package worker

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/worker/internal/program"
)

// messageSwap swaps messages for those of more urgent jobs.
type messageSwap struct {
	ledger interface {
		MoreUrgent(ctx context.Context, id, server string) ([]ledger.Urgent, error)
	}
	scheduled *scheduled
	programs  *program.Registry
	ack       *messageAck
	logger    *slog.Logger
	atStage   func(string)
}

const (
	// lookAtScheduled is how long a look at the scheduled jobs of a server holds. A job that
	// is accepted meanwhile and due by then is found after that.
	lookAtScheduled = 100 * time.Millisecond
	// justDue is longer than the time in which MoreUrgent finds a job that has become due.
	justDue = 2 * time.Minute
)

// scheduled says whether scheduled jobs have just become due, so that a busy node need not
// ask for more urgent ones before each job. All executors share it.
type scheduled struct {
	nextDue func(ctx context.Context, server string, after time.Time) (time.Time, error)

	mu   sync.Mutex
	seen map[string]seenDue // by address of the server
}

// seenDue is what a look has found.
type seenDue struct {
	server string // instance
	at     time.Time
	next   time.Time // when the first job is or was due; zero if none is scheduled
}

func newScheduled(q Queues) *scheduled {
	return &scheduled{nextDue: q.NextDue, seen: map[string]seenDue{}}
}

// none reports that no job with a message on the server of a message has just become due.
func (s *scheduled) none(ctx context.Context, m *queue.Delivery) bool {
	now := time.Now()
	s.mu.Lock()
	last := s.seen[m.Addr]
	s.mu.Unlock()
	if last.server != m.Server || now.Sub(last.at) >= lookAtScheduled {
		next, err := s.nextDue(ctx, m.Server, now.Add(-justDue))
		if err != nil {
			return false
		}
		last = seenDue{server: m.Server, at: now, next: next}
		s.mu.Lock()
		s.seen[m.Addr] = last
		s.mu.Unlock()
	}
	return last.next.IsZero() || now.Before(last.next)
}

// moreUrgent swaps the held message for that of a more urgent job that is due but whose
// message is still delayed: among due jobs the priority decides. m is the content of the
// held message. It returns that of the message that is held afterwards.
func (s *messageSwap) moreUrgent(ctx context.Context, held **queue.Delivery, m runMessage) runMessage {
	message := *held
	if s.scheduled.none(ctx, message) {
		return m
	}
	jobs, err := s.ledger.MoreUrgent(ctx, m.ID, message.Server)
	if err != nil {
		s.logger.Debug("cannot ask for more urgent jobs", "err", err) // the claim will report it
		return m
	}
	programs := s.programs.Current().Programs
	for _, job := range jobs {
		if p := programs[job.Program]; p == nil || p.About.Problem != "" {
			continue
		}
		other, err := message.Other(ctx, job.Message)
		if err != nil {
			continue // another executor has it
		}
		if found, err := readRunMessage(other.Body); err != nil || found.ID != job.ID {
			s.ack.putBack(ctx, other, 0) // beanstalkd has lost its binlog and counts ids from 1 again
			continue
		}
		*held = other
		s.ack.putBack(ctx, message, 0)
		s.atStage("swap")
		return runMessage{ID: job.ID, Program: job.Program}
	}
	return m
}
