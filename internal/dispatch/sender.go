package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/ledger/queues"
	"github.com/runnerbean/runnerbean/internal/queue"
	"github.com/runnerbean/runnerbean/jobs"
)

// maxUnmarked is the largest number of messages that are remembered as put but
// not marked.
const maxUnmarked = 10_000

// sender puts the messages of queued jobs on their run tubes, and marks in the
// ledger where each message is.
type sender struct {
	ledger   *ledger.Ledger
	producer *queue.Producer
	tubes    tubes

	mu sync.Mutex
	// unmarked are messages that were put while the ledger did not accept writes.
	// They are marked before any other message is put again. Otherwise the
	// reconciler would fill beanstalkd while the ledger refuses to write.
	unmarked []ledger.Sent
}

// send puts a message for each queued record and marks it as sent. A message that
// could not be put stays unmarked, and the reconciler sends it later.
func (s *sender) send(ctx context.Context, records []ledger.Record) error {
	messages := make([]queue.Message, 0, len(records))
	ids := make([]string, 0, len(records))
	for _, r := range records {
		if r.State == jobs.Queued && r.Program != jobs.BatchProgram { // nodes take batches from the ledger
			messages, ids = append(messages, s.message(ctx, r)), append(ids, r.ID)
		}
	}
	if len(messages) == 0 {
		return nil
	}
	receipts, putErr := s.producer.PutAll(ctx, messages)
	sent := make([]ledger.Sent, 0, len(receipts))
	for i, r := range receipts {
		if r.ID != 0 {
			sent = append(sent, ledger.Sent{ID: ids[i], Server: r.Server, Message: r.ID})
		}
	}
	return errors.Join(putErr, s.mark(ctx, sent))
}

func (s *sender) message(ctx context.Context, r ledger.Record) queue.Message {
	body, err := json.Marshal(struct {
		ID      string `json:"id"`
		Program string `json:"program"`
	}{r.ID, r.Program})
	if err != nil {
		panic(err) // strings always marshal
	}
	return queue.Message{
		Tube: s.tubes.run(r.Program), Body: body,
		Priority: s.priority(ctx, r), TTR: queue.RunTTR, Delay: r.Wait(time.Now()),
	}
}

// priority returns the priority of the message of a job.
func (s *sender) priority(ctx context.Context, r ledger.Record) uint32 {
	p := queues.MessagePriority(r.Priority, r.Attempt, r.Error, false)
	if p < r.Priority || r.Attempt == 0 {
		return p
	}
	kept, err := s.ledger.Checkpoints.Kept(ctx, r.ID) // without an answer the job comes in its turn
	return queues.MessagePriority(r.Priority, r.Attempt, r.Error, err == nil && len(kept) > 0)
}

// messageJob returns the id of the job that a message on a run tube is about, or
// "" where the body is not such a message.
func messageJob(body []byte) string {
	var message struct{ ID string }
	if json.Unmarshal(body, &message) != nil {
		return ""
	}
	return message.ID
}

// mark records in the ledger where messages are.
func (s *sender) mark(ctx context.Context, sent []ledger.Sent) error {
	if len(sent) == 0 {
		return nil
	}
	err := s.ledger.MarkSent(ctx, sent)
	if err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unmarked = append(s.unmarked, sent[:min(len(sent), maxUnmarked-len(s.unmarked))]...)
	}
	return err
}

// markRest marks the messages that could not be marked before.
func (s *sender) markRest(ctx context.Context) error {
	s.mu.Lock()
	list := s.unmarked
	s.unmarked = nil
	s.mu.Unlock()
	return s.mark(ctx, list)
}
