package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/runnerbean/runnerbean/worker/internal/process"
	"github.com/runnerbean/runnerbean/worker/internal/workdir"
)

// maxReused is the most memory that a process keeps for the lines of jobs, in bytes.
const maxReused = 64 << 10

// Do runs a job in an idle process of its program, or in a new one. A process that has
// ended while it was idle costs the job nothing. The error is that no process could be
// started, or the cause of a context that ended before the job was sent.
func (p *Pool) Do(ctx context.Context, r *Run) (Outcome, error) {
	for {
		w, err := p.take(ctx, r)
		if err != nil {
			return Outcome{}, err
		}
		if out, sent, err := p.try(ctx, w, r); sent || err != nil {
			return out, err
		}
	}
}

// try runs a job in a process, which it gives back or forgets. It returns false if the
// process had done jobs before and did not get this one.
func (p *Pool) try(ctx context.Context, w *worker, r *Run) (out Outcome, sent bool, err error) {
	returned := false
	defer func() {
		if !returned { // a panic, after which the process has ended
			p.forget(w)
		}
	}()
	fresh := w.jobs == 0
	folder := r.Folder
	if folder == "" {
		folder = w.dir
	}
	if w.line, err = appendJob(w.line[:0], &r.Job, folder+"/inputs", folder+"/out"); err != nil {
		returned = true
		p.putBack(w, "")
		return out, true, err
	}
	r.Task.Line = w.line
	reply, err := w.stream.Do(ctx, r.Task)
	returned = true
	if cap(w.line) > maxReused {
		w.line = nil
	}
	switch {
	case errors.Is(err, process.ErrEnded), errors.Is(err, process.ErrClosed), errors.Is(err, process.ErrUnasked):
		return p.unusable(w, r, err, fresh)
	case err != nil: // a context ended before
		p.putBack(w, "")
		return out, true, err
	case reply.Unread && !fresh:
		p.log(w, slog.LevelDebug, "it ended itself between two jobs", &reply.Exit)
		p.forget(w)
		return out, false, nil
	}
	return p.outcome(w, r, &reply), true, nil
}

// unusable ends a process that could not take a job. If it is new, that is the end of the
// job's attempt.
func (p *Pool) unusable(w *worker, r *Run, why error, fresh bool) (out Outcome, sent bool, err error) {
	if !fresh {
		p.putBack(w, why.Error())
		return out, false, nil
	}
	if !errors.Is(why, process.ErrEnded) {
		out.Wrong = why
		p.putBack(w, why.Error())
		return out, true, nil
	}
	out.Exit = w.stream.End(p.kill)
	p.log(w, slog.LevelInfo, "it ended before its first job", &out.Exit)
	p.forget(w)
	return out, true, nil
}

// outcome reads the answer and gives the process back.
func (p *Pool) outcome(w *worker, r *Run, reply *process.Reply) (out Outcome) {
	out.Exit = reply.Exit
	reason := ""
	switch {
	case reply.Closed:
		out.Wrong = errors.New("it closed its standard input or output and did not answer")
	case reply.Line != nil:
		a, err := decodeAnswer(reply.Line, r.ID)
		if err != nil {
			out.Wrong, reason = err, err.Error()
			break
		}
		out.Answered, out.Failure, out.Exit.Stdout = true, a.Error, a.Result
		if len(reply.After) > 0 {
			reason = "after its answer it wrote to its standard output: " + quote(reply.After)
			fmt.Fprintf(r.Task.Log, "runnerbean: %s\n", reason)
		}
	}
	if reply.Ended {
		p.log(w, slog.LevelInfo, "it ended with a job", &reply.Exit)
		if r.Folder == "" {
			out.Kept, out.Dir, w.scratch = w.scratch, w.dir, nil
		}
		p.forget(w)
		return out
	}
	if r.Folder == "" && outUsed(w.dir) {
		var err error
		if out.Kept, out.Dir, err = p.moveOut(w); err != nil {
			return p.endNow(w, out, err)
		}
	}
	p.put(w, reason)
	return out
}

// endNow ends a process whose folder out cannot be moved, and leaves all its folders to
// the job.
func (p *Pool) endNow(w *worker, out Outcome, why error) Outcome {
	exit := w.stream.End(p.kill)
	p.log(w, slog.LevelWarn, why.Error(), &exit)
	out.Kept, out.Dir, w.scratch = w.scratch, w.dir, nil
	p.forget(w)
	return out
}

// putBack takes back a process that did not get a job.
func (p *Pool) putBack(w *worker, reason string) { p.give(w, reason, 0) }

// outUsed reports whether there is anything in out of a working directory, or out is not
// an empty folder any more.
func outUsed(dir string) bool {
	fd, err := unix.Open(dir+"/out", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	var buf [1024]byte
	n, err := unix.ReadDirent(fd, buf[:])
	if err != nil {
		return true
	}
	_, _, names := unix.ParseDirent(buf[:n], 1, nil) // without . and ..
	return len(names) > 0
}

// moveOut moves out of the process to a new working directory, and makes an empty one.
func (p *Pool) moveOut(w *worker) (kept *workdir.Scratch, dir string, err error) {
	kept = p.cfg.Root.NewScratch()
	defer func() {
		if err != nil {
			kept.Abandon()
			kept, dir, err = nil, "", fmt.Errorf("its folder out cannot be moved: %w", err)
		}
	}()
	if dir, err = kept.Open(); err != nil {
		return kept, dir, err
	}
	from, to := filepath.Join(w.dir, "out"), filepath.Join(dir, "out")
	if err = os.Remove(to); err != nil {
		return kept, dir, err
	}
	if err = os.Rename(from, to); err != nil && !errors.Is(err, os.ErrNotExist) {
		return kept, dir, err
	}
	return kept, dir, os.Mkdir(from, 0o700)
}
