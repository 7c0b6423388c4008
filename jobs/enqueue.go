package jobs

import (
	"cmp"
	"context"
	"fmt"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// Errors of Enqueue and EnqueueBatch, to be tested with errors.Is.
var (
	// ErrTooBig is returned for a document over the limit: give a large input
	// by its URL.
	ErrTooBig = queue.ErrTooBig
	// ErrDraining is returned if all servers are in drain mode.
	ErrDraining = queue.ErrDraining
	// ErrFull is returned if a server has no memory or disk for the job.
	ErrFull = queue.ErrFull
)

// Enqueue fills in the job's id, result URL and time of creation if they are
// missing, validates the job and puts it on the inbox tube. It returns the job as it
// was put. Its Result.URL answers at once. The error is a [*Fault] for an invalid
// job. After any other error the job may or may not have been put. It is safe to
// enqueue the returned job again, because its id is the same.
func (c *Client) Enqueue(ctx context.Context, job Job) (Job, error) {
	job, m, err := c.message(job)
	if err != nil {
		return job, err
	}
	if _, err := c.queue.Put(ctx, m); err != nil {
		return job, fmt.Errorf("jobs: job %s: %w", job.ID, err)
	}
	return job, nil
}

// EnqueueBatch enqueues many jobs in a pipeline, about ten times faster than one by
// one. It validates all jobs before it puts the first. With an error it returns the
// jobs that were put.
func (c *Client) EnqueueBatch(ctx context.Context, batch []Job) ([]Job, error) {
	filled := make([]Job, len(batch))
	messages := make([]queue.Message, len(batch))
	at := make(map[string]int, len(batch))
	for i, job := range batch {
		var err error
		if filled[i], messages[i], err = c.message(job); err != nil {
			return nil, fmt.Errorf("jobs: job %d of the batch: %w", i, err)
		}
		if k, twice := at[filled[i].ID]; twice {
			return nil, fmt.Errorf("jobs: jobs %d and %d of the batch have the same id %s", k, i, filled[i].ID)
		}
		at[filled[i].ID] = i
	}
	receipts, err := c.queue.PutAll(ctx, messages)
	if err != nil {
		return put(filled, receipts), fmt.Errorf("jobs: batch of %d: %w", len(batch), err)
	}
	return filled, nil
}

// put selects the jobs that have a receipt.
func put(batch []Job, receipts []queue.Receipt) []Job {
	var out []Job
	for i, r := range receipts {
		if r.ID != 0 {
			out = append(out, batch[i])
		}
	}
	return out
}

// message completes a job and writes it as it goes to beanstalkd.
func (c *Client) message(job Job) (Job, queue.Message, error) {
	job.ID = cmp.Or(job.ID, NewID())
	job.Result.URL = cmp.Or(job.Result.URL, resultURL(c.cfg.BaseURL, job.ID))
	if job.Created.IsZero() {
		job.Created = createdAt(time.Now())
	}
	body, err := jsonv2.Marshal(job, jsonv2.Deterministic(true))
	if err != nil {
		return job, queue.Message{}, fmt.Errorf("jobs: job %s cannot be written as JSON: %w", job.ID, err)
	}
	if _, f := decode(body); f != nil {
		return job, queue.Message{}, f
	}
	if len(body) > c.cfg.MaxBody {
		return job, queue.Message{}, fmt.Errorf("jobs: job %s has %d bytes, beanstalkd takes %d; give its input by url: %w",
			job.ID, len(body), c.cfg.MaxBody, ErrTooBig)
	}
	return job, queue.Message{Tube: c.tube, Body: body, Priority: job.EffectivePriority()}, nil
}
