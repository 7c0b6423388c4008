package readmodel

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// maxReadings bounds the number of keys that are kept.
	maxReadings = 64
	// readingTimeout bounds one reading of the ledger or of beanstalkd.
	readingTimeout = 20 * time.Second
)

// FlightCache holds answers that many callers need at one time. Each answer is read once
// and serves for a short time. Callers share the values and must not change them.
type FlightCache[T any] struct {
	mu     sync.Mutex
	age    int // counts the calls of forget
	kept   map[string]reading[T]
	flight singleflight.Group
}

type reading[T any] struct {
	value T
	until time.Time
}

// get returns the answer to key, which may be as old as age. The first caller reads for
// all, so the end of one caller's context does not end the reading.
func (r *FlightCache[T]) get(ctx context.Context, key string, age time.Duration, read func(context.Context) (T, error)) (T, error) {
	v, ok, since := r.fresh(key)
	if ok {
		return v, nil
	}
	got, err, _ := r.flight.Do(fmt.Sprint(since, " ", key), func() (any, error) {
		if v, ok, _ := r.fresh(key); ok { // a reading has ended just now
			return v, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readingTimeout)
		defer cancel()
		v, err := read(ctx)
		if err == nil {
			r.keep(key, since, reading[T]{v, time.Now().Add(age)})
		}
		return v, err
	})
	value, _ := got.(T)
	return value, err
}

// fresh returns the value of key if it is fresh, and the number of calls of forget.
func (r *FlightCache[T]) fresh(key string) (v T, ok bool, age int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept, ok := r.kept[key]
	if !ok || !time.Now().Before(kept.until) {
		return v, false, r.age
	}
	return kept.value, true, r.age
}

// keep keeps a value unless forget was called after its reading began.
func (r *FlightCache[T]) keep(key string, since int, v reading[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.age != since {
		return
	}
	if r.kept == nil || len(r.kept) >= maxReadings {
		r.kept = map[string]reading[T]{}
	}
	r.kept[key] = v
}

// forget makes the next caller read again, even if a reading is running.
func (r *FlightCache[T]) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.age++
	clear(r.kept)
}
