package strictjson

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/worker/internal/fault"
)

// errCheckTime is the cause of the end of a check that took too long.
var errCheckTime = errors.New("the check of its data took too long")

// Budget is the time that an attempt may take for its program and for the checks
// of its data.
type Budget struct{ Limit, Used time.Duration }

// Left returns the time that is not used yet. It may be negative.
func (b *Budget) Left() time.Duration { return b.Limit - b.Used }

// Check runs check under a context that ends after the time that is left, or
// after least if that is more. The check counts as used time. If the time is over
// Check returns a final fault: another attempt would take as long.
func (b *Budget) Check(ctx context.Context, least time.Duration, check func(context.Context) error) error {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, max(b.Left(), least), errCheckTime)
	defer cancel()
	err := check(ctx)
	b.Used += time.Since(start)
	if !errors.Is(err, errCheckTime) {
		return err
	}
	return &fault.Fault{Outcome: jobs.OutcomeTimeout, Final: true, Message: fmt.Sprintf("%v: an attempt may take %s", errCheckTime, b.Limit)}
}
