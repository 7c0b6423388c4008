package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// maxChecked is how many bytes of inputs that are kept in files may be in
	// memory at one time, of all slots, to be checked against schemas.
	maxChecked = 4 * maxWithSchema
	// leastCheck is what is left at least of an attempt's time for the check of its
	// result, so that work that just came to its end in time is not lost.
	leastCheck = 10 * time.Second
)

// errCheckTime is the cause of the end of a check that took too long: whether a
// value is JSON, and whether it is what its schema wants.
var errCheckTime = errors.New("the check of its data took too long")

// checkInput checks an input against the program's schema. The wait for the
// memory that others use is not time of the attempt.
func (a *attempt) checkInput(ctx context.Context, in *input) error {
	want := a.program.manifest.input
	if want == nil {
		return nil
	}
	if in.file != nil {
		size, err := sizeToCheck(in.file)
		if err != nil {
			return err
		}
		if err := a.checks.Acquire(ctx, size); err != nil {
			return err
		}
		defer a.checks.Release(size)
	}
	ctx, done := a.checking(ctx, a.timeout()-a.checked)
	defer done()
	data, err := in.all()
	if err != nil {
		return &local{err}
	}
	return a.checkFault(want.Check(ctx, data))
}

func sizeToCheck(f *os.File) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, &local{err}
	}
	if info.Size() > maxWithSchema {
		return 0, fmt.Errorf("it has %s, and a program with an input schema takes at most %s", Size(info.Size()), Size(maxWithSchema))
	}
	return info.Size(), nil
}

// checkResult checks what the program printed against its schema.
func (a *attempt) checkResult(ctx context.Context) error {
	want := a.program.manifest.result
	if want == nil {
		return nil
	}
	left := a.timeout() - a.checked - a.ran.Sub(a.began)
	ctx, done := a.checking(ctx, max(left, min(leastCheck, a.timeout())))
	defer done()
	return a.checkFault(want.Check(ctx, a.exit.Stdout))
}

// checking is the context of a check that may take as long as left. The time
// until done counts as time of the attempt.
func (a *attempt) checking(ctx context.Context, left time.Duration) (_ context.Context, done func()) {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, left, errCheckTime)
	return ctx, func() {
		cancel()
		a.checked += time.Since(start)
	}
}

// checkFault makes a time-out of a check the end of the attempt: another one
// would take as long.
func (a *attempt) checkFault(err error) error {
	if !errors.Is(err, errCheckTime) {
		return err
	}
	return &fault{outcome: jobs.OutcomeTimeout, final: true, message: fmt.Sprintf("%v: an attempt may take %s", errCheckTime, a.timeout())}
}
