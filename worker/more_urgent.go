package worker

import (
	"context"
	"log/slog"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/worker/internal/program"
)

// messageSwap swaps messages for those of more urgent jobs.
type messageSwap struct {
	ledger interface {
		MoreUrgent(ctx context.Context, id, server string) ([]ledger.Urgent, error)
	}
	programs *program.Registry
	ack      *messageAck
	logger   *slog.Logger
	atStage  func(string)
}

// moreUrgent swaps the held message for that of a more urgent job that is due but whose
// message is still delayed: among due jobs the priority decides. m is the content of the
// held message. It returns that of the message that is held afterwards.
func (s *messageSwap) moreUrgent(ctx context.Context, held **queue.Delivery, m runMessage) runMessage {
	message := *held
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
