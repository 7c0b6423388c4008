package worker

import (
	"cmp"
	"time"

	"github.com/runnerbean/runnerbean/internal/bytesize"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/program"
)

// limits of one attempt. Zero is no limit, except for timeout and attempts.
type limits struct {
	timeout  time.Duration
	attempts int           // that may end in error
	stall    time.Duration // without a sign of life
	memory   int64         // in bytes
	scratch  int64         // of the working directory, in bytes
	stdout   int64         // in bytes
}

// limitsOf returns the limits of a job's attempt. The job's own come before those of
// program.json, and these before the node's. Memory and scratch are never more than the
// node allows. A program knows best how long it is silent.
func limitsOf(c *Config, j *jobs.Job, m *program.Manifest) limits {
	l := limits{
		timeout:  cmp.Or(time.Duration(j.Timeout), time.Duration(m.Timeout), c.Timeout),
		attempts: cmp.Or(j.Attempts, m.Attempts, c.Attempts),
		stall:    c.Stall,
		memory:   within(m.Memory, c.MaxMemory),
		scratch:  within(m.Scratch, c.MaxScratch),
		stdout:   c.MaxStdout,
	}
	if m.Stall != nil {
		l.stall = time.Duration(*m.Stall)
	}
	return l
}

// within returns what a program asks for, but at most what the node allows.
func within(own bytesize.Size, most int64) int64 {
	switch {
	case own == 0:
		return most
	case most == 0:
		return int64(own)
	}
	return min(int64(own), most)
}
