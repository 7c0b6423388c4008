package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
)

const maxPosition = 1000

// Get returns one job, with document and partial result. The error is ErrUnknown, and
// also a *retention.Deleted if the job was deleted.
func (l *Ledger) Get(ctx context.Context, id string) (_ Record, err error) {
	defer l.watch("get", time.Now(), &err)
	var row recordRow
	found, err := l.reader.Row(ctx, qGet, []any{id}, row.withAll()...)
	if err == nil && !found {
		err = unknown(ctx, l.Retention, id)
	}
	if err != nil {
		return Record{}, fmt.Errorf("ledger: get: %w", err)
	}
	return row.record()
}

var (
	qPlace  = engine.NewQuery("SELECT program, state, priority, accepted FROM jobs WHERE id = ?")
	qBefore = engine.NewQuery(`SELECT COUNT(*) FROM (SELECT 1 FROM jobs WHERE state = 'queued' AND server = ? AND program = ?
		AND (priority, accepted, id) < (?, ?, ?) LIMIT ?) AS sooner`)
)

// Position returns the number of queued jobs of the same program that start before a
// queued one. ok is false if the job is not queued or if more than 1,000 come before it.
// ErrUnknown.
func (l *Ledger) Position(ctx context.Context, id string) (n int, ok bool, err error) {
	defer l.watch("position", time.Now(), &err)
	n, ok, err = position(ctx, l.reader, id)
	if err != nil {
		return 0, false, fmt.Errorf("ledger: position: %w", err)
	}
	return n, ok, nil
}

func position(ctx context.Context, r engine.Reader, id string) (n int, ok bool, err error) {
	var program string
	var state jobs.State
	var priority, accepted int64
	found, err := r.Row(ctx, qPlace, []any{id}, &program, (*string)(&state), &priority, &accepted)
	if err == nil && !found {
		err = ErrUnknown
	}
	if err != nil || state != jobs.Queued {
		return 0, false, err
	}
	servers, err := listing.Servers(ctx, r)
	if err != nil {
		return 0, false, err
	}
	for _, s := range servers {
		var some int
		args := []any{s, program, priority, accepted, id, maxPosition + 1 - n}
		if _, err := r.Row(ctx, qBefore, args, &some); err != nil {
			return 0, false, err
		}
		if n += some; n > maxPosition {
			return 0, false, nil
		}
	}
	return n, true, nil
}

var qAttempts = engine.NewQuery(`SELECT number, node, instance, program_sha256, started, finished, outcome, message,
		exit_code, signal, cpu_us, max_rss, quarantine, '' FROM attempts WHERE job = ?
		UNION ALL SELECT attempt, node, instance, program_sha256, started, finished, outcome, '',
		exit_code, signal, cpu_us, max_rss, quarantine, error FROM jobs WHERE id = ? AND (state = 'running' OR outcome <> '')
		ORDER BY 1`)

// Attempts lists the attempts of a job, oldest first.
func (l *Ledger) Attempts(ctx context.Context, id string) (list []Attempt, err error) {
	defer l.watch("attempts", time.Now(), &err)
	err = l.reader.Each(ctx, qAttempts, []any{id, id}, func(r engine.Row) error {
		a, err := scanAttempt(r, id)
		list = append(list, a)
		return err
	})
	return list, engine.Wrap("attempts", err)
}

func scanAttempt(r engine.Row, id string) (Attempt, error) {
	a := Attempt{Job: id}
	var started, finished, cpu int64
	var errText string
	err := r.Scan(&a.Number, &a.Node, &a.Instance, &a.ProgramSHA256, &started, &finished, (*string)(&a.Outcome),
		&a.Message, &a.ExitCode, &a.Signal, &cpu, &a.MaxRSS, &a.Quarantined, &errText)
	a.Started, a.Finished, a.CPU = engine.FromMicros(started), engine.FromMicros(finished), engine.Microseconds(cpu)
	if a.Outcome == "" { // it runs; these columns belong to the attempt before
		a.ExitCode, a.Signal, a.CPU, a.MaxRSS = -1, "", 0, 0
		return a, err
	}
	var e jobs.Error
	if errText != "" && json.Unmarshal([]byte(errText), &e) == nil {
		a.Message = e.Message
	}
	return a, err
}

var qSubmitter = engine.NewQuery("SELECT submitter FROM jobs WHERE id = ?")

// Submitter returns the name of the token that submitted a job. It is empty if the job
// came by the inbox or if no token was required. ErrUnknown.
func (l *Ledger) Submitter(ctx context.Context, id string) (name string, err error) {
	defer l.watch("submitter", time.Now(), &err)
	found, err := l.reader.Row(ctx, qSubmitter, []any{id}, &name)
	if err == nil && !found {
		err = unknown(ctx, l.Retention, id)
	}
	return name, engine.Wrap("submitter", err)
}
