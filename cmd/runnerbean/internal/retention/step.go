package retention

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/retry"
)

const (
	// leastPause and idleTimes are the pause after each step: a step takes at most a tenth
	// of the time.
	leastPause = 20 * time.Millisecond
	idleTimes  = 9
)

// step pauses after a step that began at a time. It returns false when ctx has ended.
func step(ctx context.Context, began time.Time) bool {
	return retry.Sleep(ctx, max(leastPause, idleTimes*time.Since(began)))
}
