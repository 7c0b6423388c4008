package workdir

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// A working directory is measured every quotaEvery. If that is slow, it takes at
	// most a twentieth of the time, but happens at least every quotaMost.
	quotaEvery = time.Second
	quotaMost  = 30 * time.Second
	quotaShare = 20
)

// WatchQuota measures dir again and again. It calls exceeded with an *Excess once dir
// takes more than limit bytes, and warn with other errors. Both run within guard, on
// another goroutine. The caller calls stop, which returns when no measurement is under
// way. A limit of 0 is none.
func WatchQuota(dir string, limit int64, guard func(func()), exceeded, warn func(error)) (stop func()) {
	if limit <= 0 {
		return func() {}
	}
	// Opened before the program can move it away.
	f, err := openFolderAt(unix.AT_FDCWD, dir)
	if err != nil {
		warn(err)
		return func() {}
	}
	check := func(ctx context.Context) {
		switch err := measure(ctx, f, limit); {
		case isExcess(err):
			exceeded(err)
		case err != nil && ctx.Err() == nil:
			warn(err)
		}
	}
	end := repeat(quotaEvery, func(ctx context.Context) time.Duration {
		start := time.Now()
		guard(func() { check(ctx) })
		return min(max(quotaEvery, quotaShare*time.Since(start)), quotaMost)
	})
	return func() {
		end()
		f.Close()
	}
}

func isExcess(err error) bool {
	_, over := errors.AsType[*Excess](err)
	return over
}

// repeat calls f after d, and again after the time that f returns. stop ends that and
// returns when f does not run any more.
func repeat(d time.Duration, f func(context.Context) time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(d, func() {
		mu.Lock()
		defer mu.Unlock()
		if ctx.Err() == nil {
			timer.Reset(f(ctx))
		}
	})
	return func() {
		cancel()
		timer.Stop()
		mu.Lock()
		defer mu.Unlock()
		timer.Stop()
	}
}
