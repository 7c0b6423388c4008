package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// EnqueueBatch enqueues many jobs, at least eight times faster than [Client.Enqueue] one
// by one, because up to 256 jobs of the same priority go into one message. It returns what
// became of each, in the order of the batch. An invalid job does not hold up the others.
// Of two jobs with the same id the second is invalid.
//
// The error is nil if all jobs were put. Otherwise it says how many were, and
// errors.Is and errors.As find in it what they find in one of the jobs' errors. To
// enqueue again the jobs of which Err is not nil and not [ErrInvalid] is safe: they
// have their ids.
func (c *Client) EnqueueBatch(ctx context.Context, batch []Job) ([]Enqueued, error) {
	if c.wrapped == nil {
		all := c.enqueueAll(ctx, batch)
		return all, batchFailed(all)
	}
	filled := make([]Job, len(batch))
	copy(filled, batch)
	for i := range filled {
		c.fill(&filled[i])
	}
	all := c.wrapped(ctx, filled)
	return all, batchFailed(all)
}

// enqueueAll puts many jobs and returns what became of each.
func (c *Client) enqueueAll(ctx context.Context, batch []Job) []Enqueued {
	if len(batch) == 1 {
		job, err := c.enqueue(ctx, batch[0])
		return []Enqueued{{job, err}}
	}
	all := make([]Enqueued, len(batch))
	messages, at := c.messages(all, batch)
	var errs []error
	if c.cfg.Durable {
		documents := make([]document, len(messages))
		for k, m := range messages {
			documents[k] = document{id: all[at[k]].Job.ID, text: m.Body}
		}
		errs = c.submitAll(ctx, documents)
	} else {
		errs = c.putAll(ctx, messages)
	}
	for k, err := range errs {
		if e := &all[at[k]]; err != nil {
			e.Err = enqueueFailed(ctx, e.Job.ID, err)
		}
	}
	return all
}

const (
	// maxArray is how many documents one message may hold.
	maxArray = 256
	// maxArrayBytes is the size of the largest message with several documents, in bytes.
	// A larger one gains nothing.
	maxArrayBytes = 64 << 10
	// usual is more than most documents have, in bytes.
	usual = 512
)

// putAll puts messages, several in one where that is possible, and returns an error or
// nil for each.
func (c *Client) putAll(ctx context.Context, messages []queue.Message) []error {
	errs := make([]error, 0, len(messages))
	arrays, sizes := pack(messages, min(c.cfg.MaxBody, maxArrayBytes))
	outcomes, _ := c.queue.PutAll(ctx, arrays)
	for k, n := range sizes {
		err := outcomes[k].Err
		if n > 1 && errors.Is(err, ErrTooBig) {
			errs = append(errs, c.putAlone(ctx, messages[len(errs):][:n], err)...)
			continue
		}
		errs = append(errs, slices.Repeat([]error{err}, n)...)
	}
	return errs
}

// putAlone puts messages of which a server has refused the array, because its limit is
// lower than Config.MaxBody: it may take each alone.
func (c *Client) putAlone(ctx context.Context, messages []queue.Message, refused error) []error {
	errs := make([]error, len(messages))
	outcomes, _ := c.queue.PutAll(ctx, messages)
	for i, o := range outcomes {
		if errs[i] = o.Err; o.Err != nil && errors.Is(refused, queue.ErrMaybePut) {
			errs[i] = fmt.Errorf("%w: %w", queue.ErrMaybePut, o.Err) // another server may have the array
		}
	}
	return errs
}

// pack writes consecutive messages of the same priority as arrays of at most limit
// bytes. A message that stays alone stays as it is. sizes says how many messages went
// into each.
func pack(messages []queue.Message, limit int) (arrays []queue.Message, sizes []int) {
	for at := 0; at < len(messages); {
		n, bytes := 1, len("[]")+len(messages[at].Body)
		for at+n < len(messages) && n < maxArray && messages[at+n].Priority == messages[at].Priority {
			more := len(",") + len(messages[at+n].Body)
			if bytes+more > limit {
				break
			}
			n, bytes = n+1, bytes+more
		}
		arrays, sizes = append(arrays, array(messages[at:at+n], bytes)), append(sizes, n)
		at += n
	}
	return arrays, sizes
}

// array returns one message with the documents of all, in order.
func array(messages []queue.Message, bytes int) queue.Message {
	m := messages[0]
	if len(messages) == 1 {
		return m
	}
	m.Body = make([]byte, 0, bytes)
	for i, one := range messages {
		m.Body = append(append(m.Body, "[,"[min(i, 1)]), one.Body...)
	}
	m.Body = append(m.Body, ']')
	return m
}

// messages fills in the jobs of a batch. It returns the messages of those that are
// valid, and their places in the batch.
func (c *Client) messages(all []Enqueued, batch []Job) (messages []queue.Message, at []int) {
	messages, at = make([]queue.Message, 0, len(batch)), make([]int, 0, len(batch))
	places := map[string]int{}
	now := createdAt(time.Now())
	var space []byte // one for many documents saves half of the allocations
	for i := range batch {
		e := &all[i]
		e.Job = batch[i]
		if e.Job.Created.IsZero() {
			e.Job.Created = now
		}
		if cap(space)-len(space) < usual {
			space = make([]byte, 0, min(maxArrayBytes, usual*(len(batch)-i)))
		}
		m, err := c.message(&e.Job, space)
		if err != nil {
			e.Err = err
			continue
		}
		if batch[i].ID != "" { // new ids differ
			if k, twice := places[e.Job.ID]; twice {
				e.Err = e.Job.identified(newFault("/id", "must differ from that of job %d of the batch", k))
				continue
			}
			places[e.Job.ID] = i
		}
		space = m.Body
		m.Body = slices.Clip(m.Body)
		messages, at = append(messages, m), append(at, i)
	}
	return messages, at
}

// batchError is the error of a batch of which not all jobs were put.
type batchError struct {
	message string
	errs    []error // of the jobs
}

// batchFailed returns nil if all jobs were put.
func batchFailed(all []Enqueued) error {
	b := &batchError{}
	put, maybe := 0, 0
	for i := range all {
		switch err := all[i].Err; {
		case err == nil:
			put++
			continue
		case errors.Is(err, ErrMaybePut):
			maybe++
		}
		b.errs = append(b.errs, all[i].Err)
	}
	if len(b.errs) == 0 {
		return nil
	}
	b.message = fmt.Sprintf("jobs: batch of %d: %d put, %d not put, %d may have been put; the first error: %v",
		len(all), put, len(b.errs)-maybe, maybe, b.errs[0])
	return b
}

func (b *batchError) Error() string { return b.message }

func (b *batchError) Unwrap() []error { return b.errs }
