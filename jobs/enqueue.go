package jobs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/queue"
)

// Enqueue fills in the job's id, result URL and time of creation if they are
// missing, validates the job and puts it on the inbox tube. It returns the job as it
// was put. Its Result.URL answers at once.
//
// Every error is [ErrNotPut] or [ErrMaybePut]. It is a [*Fault], which is also
// [ErrInvalid], for an invalid job. After any other error the returned job may be
// enqueued again: it has its id, and an id makes one job, even after ErrMaybePut.
func (c *Client) Enqueue(ctx context.Context, job Job) (Job, error) {
	if c.wrapped == nil {
		return c.enqueue(ctx, job)
	}
	c.fill(&job)
	e := c.wrapped(ctx, []Job{job})[0]
	return e.Job, e.Err
}

func (c *Client) enqueue(ctx context.Context, job Job) (Job, error) {
	m, err := c.message(&job, nil)
	if err != nil {
		return job, err
	}
	if c.cfg.Durable {
		err = c.submit(ctx, job.ID, m.Body)
	} else {
		_, err = c.queue.Put(ctx, m)
	}
	if err != nil {
		return job, enqueueFailed(ctx, job.ID, err)
	}
	return job, nil
}

// fill sets the id, the result URL and the time of creation if they are missing.
func (c *Client) fill(job *Job) {
	job.ID = cmp.Or(job.ID, NewID())
	job.Result.URL = cmp.Or(job.Result.URL, resultURL(c.cfg.BaseURL, job.ID))
	if job.Created.IsZero() {
		job.Created = createdAt(time.Now())
	}
}

// message completes a job and writes it as it goes to beanstalkd, behind the end of
// space.
func (c *Client) message(job *Job, space []byte) (queue.Message, error) {
	c.fill(job)
	f := job.check()
	body := space[len(space):]
	if f == nil {
		body, f = appendJob(slices.Grow(body, 256+len(job.Input.Data)), job)
	}
	if f != nil {
		return queue.Message{}, job.identified(f)
	}
	if len(body) > c.cfg.MaxBody {
		return queue.Message{}, &enqueueError{id: job.ID, class: ErrNotPut, cause: fmt.Errorf(
			"%w: it has %d bytes, at most %d are taken; give its input by url", ErrTooBig, len(body), c.cfg.MaxBody)}
	}
	return queue.Message{Tube: c.tube, Body: body, Priority: job.EffectivePriority()}, nil
}

// resultURL returns where the result of a job will be.
func resultURL(base, id string) string { return strings.TrimRight(base, "/") + "/" + id }

// createdAt returns a time in the precision of documents.
func createdAt(now time.Time) time.Time { return now.UTC().Truncate(time.Millisecond) }
