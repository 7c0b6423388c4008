package checkpoint

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// asked is what requests answer.
func (q *requests) want(t *testing.T, by Asker, key string, state State, why error) {
	t.Helper()
	if got, err := q.ask(by, key); got != state || !errors.Is(err, why) {
		t.Errorf("state %d, %v; want %d, %v", got, err, state, why)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	signals, ready := 0, false
	q := &requests{signal: func() bool { signals++; return ready }}
	q.begin() // before the request
	q.want(t, Person, "1", Waiting, nil)
	q.answer(nil)
	q.want(t, Person, "1", Waiting, nil)
	q.begin() // before the program has its handler
	q.answer(nil)
	ready = true
	q.want(t, Person, "1", Waiting, nil)
	q.answer(nil) // the packing has begun before the signal
	q.want(t, Person, "1", Waiting, nil)
	if signals != 3 {
		t.Errorf("%d signals, of which one was sent", signals)
	}
	q.begin()
	q.want(t, Drain, "a", Waiting, nil) // during that packing
	q.answer(nil)
	q.want(t, Person, "1", Saved, nil)
	q.want(t, Drain, "a", Waiting, nil)
	failed := refuse("it is too large")
	q.begin()
	q.answer(failed)
	q.want(t, Drain, "a", NotSaved, failed)
	q.want(t, Person, "1", Saved, nil)
	q.want(t, Drain, "b", Waiting, nil) // another drain asks again
	if signals != 5 {
		t.Errorf("%d signals", signals)
	}
	(&requests{}).want(t, Person, "1", NotSaved, errUnable)
}

// A program that does not answer is not waited for without end.
func TestRequestsAreGivenUp(t *testing.T) {
	t.Parallel()
	for ready, why := range map[bool]error{true: errNoEvent, false: errNoSignal} {
		synctest.Test(t, func(t *testing.T) {
			q := &requests{signal: func() bool { return ready }}
			q.want(t, Person, "1", Waiting, nil)
			time.Sleep(answerTime)
			q.want(t, Person, "1", Waiting, nil)
			time.Sleep(time.Second)
			q.want(t, Person, "1", NotSaved, why)
			q.begin()
			q.answer(nil)
			q.want(t, Person, "1", NotSaved, why) // too late
			q.want(t, Person, "2", Waiting, nil)
		})
	}
}
