package worker

import (
	"context"
	"log/slog"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/worker/internal/program"
)

// messageTrade trades messages for those of more urgent jobs.
type messageTrade struct {
	ledger interface {
		MoreUrgent(ctx context.Context, id, server string) ([]ledger.Urgent, error)
	}
	programs *program.Registry
	ack      *messageAck
	logger   *slog.Logger
	atStage  func(string)
}

// moreUrgent trades the message that is held for that of a more urgent job that is due,
// if its message is still delayed: among due jobs the priority decides. It returns what
// the message says that is held then; m is what the held one says.
func (t *messageTrade) moreUrgent(ctx context.Context, held **queue.Delivery, m runMessage) runMessage {
	message := *held
	jobs, err := t.ledger.MoreUrgent(ctx, m.ID, message.Server)
	if err != nil {
		t.logger.Debug("cannot ask for more urgent jobs", "err", err) // the claim will report it
		return m
	}
	programs := t.programs.Current().Programs
	for _, job := range jobs {
		if p := programs[job.Program]; p == nil || p.About.Problem != "" {
			continue
		}
		other, err := message.Other(ctx, job.Message)
		if err != nil {
			continue // another executor has it
		}
		if found, err := readRunMessage(other.Body); err != nil || found.ID != job.ID {
			t.ack.putBack(ctx, other, 0) // beanstalkd has lost its binlog and counts ids from 1 again
			continue
		}
		*held = other
		t.ack.putBack(ctx, message, 0)
		t.atStage("trade")
		return runMessage{ID: job.ID, Program: job.Program}
	}
	return m
}
