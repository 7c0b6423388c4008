package checkpoint

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// answerTime bounds the wait for a program that was asked for a checkpoint.
const answerTime = 10 * time.Minute

var (
	errUnable   = errors.New(`it began with a program.json without "checkpoint", and does not save on request`)
	errNoSignal = errors.New("its first process has no handler for the signal that program.json names")
	errNoEvent  = errors.New(`it got the signal, and has not written {"checkpoint":true}`)
)

// Asker is who asks a program for a checkpoint. Each has one request at a time.
type Asker int

const (
	Person Asker = iota
	Drain
	askers
)

// State says how a request stands.
type State int

const (
	Waiting  State = iota
	Saved          // a checkpoint from after the request is kept
	NotSaved       // the program has not saved one that could be kept
)

// requests are what was asked of a program.
type requests struct {
	// signal asks the program, see Config.Signal.
	signal func() bool

	mu  sync.Mutex
	all [askers]*request
}

// request is one of them.
type request struct {
	key    string
	began  time.Time
	sent   bool // the signal
	saving bool // a packing has begun after that
	done   bool
	err    error
}

// ask makes a request unless that was done before, and returns how it stands.
func (q *requests) ask(by Asker, key string) (State, error) {
	q.mu.Lock() // until the signal is sent: a packing that begins after it is an answer
	defer q.mu.Unlock()
	r := q.all[by]
	if r == nil || r.key != key {
		r = &request{key: key, began: time.Now()}
		q.all[by] = r
	}
	switch {
	case r.done:
	case q.signal == nil:
		r.end(errUnable)
	case time.Since(r.began) > answerTime && !r.sent:
		r.end(fmt.Errorf("%w, for %s", errNoSignal, answerTime))
	case time.Since(r.began) > answerTime:
		r.end(fmt.Errorf("%w within %s", errNoEvent, answerTime))
	case !r.sent:
		r.sent = q.signal()
	}
	switch {
	case !r.done:
		return Waiting, nil
	case r.err != nil:
		return NotSaved, r.err
	}
	return Saved, nil
}

func (r *request) end(err error) { r.done, r.err = true, err }

// begin notes that a packing begins.
func (q *requests) begin() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.all {
		if r != nil && r.sent {
			r.saving = true
		}
	}
}

// answer answers the requests from before the packing that has ended.
func (q *requests) answer(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range q.all {
		if r != nil && r.saving && !r.done {
			r.end(err)
		}
	}
}
