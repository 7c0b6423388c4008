package bench

import (
	"errors"
	"fmt"
	"time"
)

// Modes of the program of a benchmark.
const (
	ModeRun    = "run"    // a process for each job
	ModeStream = "stream" // a process that stays
)

// Options say what is measured, and how much.
type Options struct {
	Mode                         string // ModeRun or ModeStream
	Size                         int    // of an input, in bytes; 0: 10 KiB, or 1 KiB in ModeStream
	Jobs, Slots, Rounds, Samples int
	Idle                         time.Duration
	// CPUProfile is the file that gets the processor profile of the last round of jobs; ""
	// for none.
	CPUProfile string
	// Ledger is the URL of a database without a ledger, which gets one; "" for a file.
	Ledger string
}

func (o *Options) check() error {
	switch {
	case o.Mode != ModeRun && o.Mode != ModeStream:
		return fmt.Errorf("the mode is %s or %s, not %q", ModeRun, ModeStream, o.Mode)
	case min(o.Jobs, o.Slots, o.Rounds, o.Samples) < 1:
		return errors.New("jobs, slots, rounds and samples are at least 1")
	case o.Size < 0 || o.Size > maxSize:
		return fmt.Errorf("the size of an input is at most %d bytes", maxSize)
	}
	if o.Size == 0 {
		o.Size = 10 << 10
		if o.Mode == ModeStream {
			o.Size = 1 << 10
		}
	}
	return nil
}

// maxSize is less than beanstalkd takes by default, by what else is in a document.
const maxSize = 60 << 10
