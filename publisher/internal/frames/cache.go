package frames

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/runnerbean/runnerbean/internal/panics"
)

const (
	// freshFor is how long an answer serves without another look. For staleFor it serves where
	// reading again takes longer than refreshWait.
	freshFor    = 2 * time.Second
	staleFor    = 10 * time.Second
	refreshWait = 25 * time.Millisecond
	// readTime bounds one reading of the ledger.
	readTime = 10 * time.Second
	// maxKept bounds how many answers are kept.
	maxKept = 128
)

// cache keeps answers of the ledger for a moment. Each is read once for all who ask. Its values
// are shared and must not be changed.
type cache struct {
	flight singleflight.Group

	mu   sync.Mutex
	age  int // counts the calls of forget
	kept map[string]answer
}

type answer struct {
	value any
	at    time.Time
}

// cached returns the answer to key. The reading goes on when ctx ends.
func cached[T any](ctx context.Context, c *cache, key string, read func(context.Context) (T, error)) (T, error) {
	var none T
	kept, found, age := c.look(key)
	if found && time.Since(kept.at) < freshFor {
		return kept.value.(T), nil
	}
	reading := c.flight.DoChan(fmt.Sprint(age, " ", key), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTime)
		defer cancel()
		a := answer{at: time.Now()}
		err := panics.Call(func() (err error) { a.value, err = read(ctx); return err })
		if err == nil {
			c.keep(key, age, a)
		}
		return a.value, err
	})
	var late <-chan time.Time
	if found && time.Since(kept.at) < staleFor {
		late = time.After(refreshWait)
	}
	select {
	case <-late:
		return kept.value.(T), nil
	case r := <-reading:
		if r.Err != nil {
			return none, r.Err
		}
		return r.Val.(T), nil
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func (c *cache) look(key string) (a answer, found bool, age int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, found = c.kept[key]
	return a, found, c.age
}

// keep keeps an answer unless forget was called after its reading began. It drops the oldest
// where there are too many.
func (c *cache) keep(key string, age int, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.age != age {
		return
	}
	if c.kept == nil {
		c.kept = map[string]answer{}
	}
	c.kept[key] = a
	oldest := key
	for k, other := range c.kept {
		if time.Since(other.at) > staleFor {
			delete(c.kept, k)
		} else if other.at.Before(c.kept[oldest].at) {
			oldest = k
		}
	}
	if len(c.kept) > maxKept {
		delete(c.kept, oldest)
	}
}

// forget makes the next caller read again, even if a reading is under way.
func (c *cache) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.age++
	clear(c.kept)
}
