// Package input fetches the inputs of a job and checks them.
package input

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/internal/validate"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
	"github.com/runnerbean/runnerbean/worker/internal/strictjson"
)

// Request is a job whose inputs are to be fetched.
type Request struct {
	Job    *jobs.Job
	Schema *validate.Schema // of the input; nil if there is none
	// Dir is the working directory. Files, and what needed jobs have left, go to its folder
	// inputs.
	Dir string
	// SpillPath is where an input is kept that is too large for memory.
	SpillPath string
	// Log is the log of the job.
	Log io.Writer
	// MaxScratch bounds the working directory in bytes; 0 is no limit.
	MaxScratch int64
	// Budget is the time for checks.
	Budget *strictjson.Budget
}

// Fetch fetches the standard input and the files of a job, copies what the jobs have left
// that it needs, and checks that the standard input is JSON as the program wants it. The
// sources say where the standard input and the files came from. The caller closes the input. The error is a fault.
func (f *Fetcher) Fetch(ctx context.Context, r Request) (Stdin, []jobs.Source, error) {
	in, source, err := f.stdin(ctx, &r)
	sources := []jobs.Source{source}
	if err == nil {
		limit := f.cfg.MaxFiles
		if r.MaxScratch > 0 {
			limit = min(limit, r.MaxScratch)
		}
		inputs := filepath.Join(r.Dir, "inputs")
		if limit, err = f.needs(ctx, r.Job, r.Log, inputs, limit); err == nil {
			var files []jobs.Source
			files, err = f.files(ctx, inputs, r.Job.Files, limit)
			sources = append(sources, files...)
		}
	}
	if err != nil {
		in.Close()
		return Stdin{}, nil, err
	}
	return in, sources, nil
}

// stdin fetches and checks the standard input.
func (f *Fetcher) stdin(ctx context.Context, r *Request) (in Stdin, from jobs.Source, err error) {
	pointer := "/input/url"
	if r.Job.Input.URL == "" {
		pointer = "/input/data"
		in.Data = r.Job.Input.Data
		from = inlineSource(in.Data)
	} else {
		in, from, err = f.download(ctx, r)
	}
	if err == nil {
		err = f.check(ctx, r, &in)
	}
	if err != nil {
		err = inputFault(err, pointer)
	}
	return in, from, err
}

// inlineSource describes an input that is part of its job.
func inlineSource(data []byte) jobs.Source {
	sum := sha256.Sum256(data)
	return jobs.Source{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// download fetches the standard input from its URL.
func (f *Fetcher) download(ctx context.Context, r *Request) (Stdin, jobs.Source, error) {
	buffer := &spill{path: r.SpillPath}
	src := source{url: r.Job.Input.URL, sha256: r.Job.Input.SHA256, size: -1, limit: f.cfg.MaxInput}
	got, err := f.fetch(ctx, src, buffer)
	in := buffer.stdin()
	if err != nil {
		return in, got, err
	}
	body, err := in.reader()
	if err != nil {
		return in, got, &local{err}
	}
	err = r.Budget.Check(ctx, 0, func(ctx context.Context) error { return strictjson.CheckValue(ctx, body) })
	if err != nil {
		err = fmt.Errorf("%s: %w", got.URL, err)
	}
	return in, got, err
}

// check checks the standard input against the program's schema. The wait for memory
// that other attempts use does not count as time of the attempt.
func (f *Fetcher) check(ctx context.Context, r *Request, in *Stdin) error {
	if r.Schema == nil {
		return nil
	}
	if in.File != nil {
		size, err := sizeToCheck(in.File)
		if err != nil {
			return err
		}
		if err := f.checks.Acquire(ctx, size); err != nil {
			return err
		}
		defer f.checks.Release(size)
	}
	return r.Budget.Check(ctx, 0, func(ctx context.Context) error {
		data, err := in.all()
		if err != nil {
			return &local{err}
		}
		return r.Schema.Check(ctx, data)
	})
}

// sizeToCheck returns the size of an input in bytes, or an error if it is too large.
func sizeToCheck(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, &local{err}
	}
	if info.Size() > maxWithSchema {
		return 0, fmt.Errorf("it has %s, and a program with an input schema takes at most %s", bytesize.Size(info.Size()), bytesize.Size(maxWithSchema))
	}
	return info.Size(), nil
}

// inputFault returns the fault for an input. The pointer of a value that does not fit
// the schema is to the value: within the job document, if it is part of that.
func inputFault(err error, pointer string) error {
	if _, here := errors.AsType[*local](err); here {
		return fault.OfNode("the input cannot be stored", err)
	}
	if over, timeout := errors.AsType[*fault.Fault](err); timeout {
		return over
	}
	message := "the input cannot be had: " + err.Error()
	if wrong, mismatch := errors.AsType[*validate.Mismatch](err); mismatch {
		message = "the input is not what the program takes: " + wrong.Error()
		if pointer == "/input/data" {
			pointer += wrong.Pointer
		} else if wrong.Pointer != "" {
			pointer = wrong.Pointer
		}
	}
	return &fault.Fault{Outcome: jobs.OutcomeInput, Message: message, Pointer: pointer, Awaits: temporary(err)}
}
