package testbed

import (
	"context"
	"fmt"
	"time"
)

// Until calls yes at an interval until it returns true. It fails when ctx ends.
func Until(ctx context.Context, every time.Duration, what string, yes func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-ticker.C:
		}
	}
	return nil
}

// Sleep reports whether d passed before ctx ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
