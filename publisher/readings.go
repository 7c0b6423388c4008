package publisher

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxReadings bounds how many different questions are remembered.
	maxReadings = 64
	// readingTimeout bounds one look at the ledger and at beanstalkd.
	readingTimeout = 20 * time.Second
)

// readings are answers that many ask for at one time: each is read once and
// serves for a moment. What they hold is shared and must not be changed.
type readings[T any] struct {
	mu     sync.Mutex
	kept   map[string]reading[T]
	flight singleflight.Group
}

type reading[T any] struct {
	value T
	until time.Time
}

// get is the answer to key, which may be as old as age. The first who asks
// reads for all, so one who goes away does not end the reading.
func (r *readings[T]) get(ctx context.Context, key string, age time.Duration, read func(context.Context) (T, error)) (T, error) {
	if v, ok := r.fresh(key); ok {
		return v, nil
	}
	v, err, _ := r.flight.Do(key, func() (any, error) {
		if v, ok := r.fresh(key); ok { // a reading has ended just now
			return v, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readingTimeout)
		defer cancel()
		v, err := read(ctx)
		if err == nil {
			r.keep(key, reading[T]{v, time.Now().Add(age)})
		}
		return v, err
	})
	value, _ := v.(T)
	return value, err
}

func (r *readings[T]) fresh(key string) (v T, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.kept[key]
	if !ok || !time.Now().Before(kept.until) {
		return v, false
	}
	return kept.value, true
}

func (r *readings[T]) keep(key string, v reading[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kept == nil || len(r.kept) >= maxReadings {
		r.kept = map[string]reading[T]{}
	}
	r.kept[key] = v
}

// forget makes the next one who asks read anew.
func (r *readings[T]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.kept)
}
