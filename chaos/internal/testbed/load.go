package testbed

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// Load submits jobs evenly over a time, by HTTP and through the inbox.
type Load struct {
	Bed   *Testbed
	Poll  *Poller
	Nodes []*Node
	Inbox string // address of the beanstalkd whose inbox gets every other job; "" for none
	Array int    // the largest number of documents in a message of the inbox; 0 for one
}

// Submit returns when the last job was accepted.
func (l *Load) Submit(ctx context.Context, list []*Job, over time.Duration) {
	began := time.Now()
	var posters sync.WaitGroup
	var puts []*Job
	const many = 8
	for i := range many {
		rng := l.Bed.Random("submitter" + string(rune('a'+i)))
		var mine []int
		for at := i; at < len(list); at += many {
			if l.Inbox == "" || at/many%2 == 0 {
				mine = append(mine, at)
			}
		}
		posters.Go(func() {
			for _, at := range mine {
				if !l.due(ctx, list[at], began, over, at, len(list)) {
					return
				}
				l.post(ctx, rng, list[at])
			}
		})
	}
	for at, j := range list {
		if l.Inbox != "" && at/many%2 == 1 {
			puts = append(puts, j)
		}
	}
	if len(puts) > 0 {
		posters.Go(func() { l.puts(ctx, puts, began, over) })
	}
	posters.Wait()
}

// due waits until it is the turn of a job.
func (l *Load) due(ctx context.Context, j *Job, began time.Time, over time.Duration, at, of int) bool {
	l.Poll.expect(j)
	wait := time.Until(began.Add(over * time.Duration(at) / time.Duration(of)))
	ok := Sleep(ctx, max(wait, 0))
	l.Poll.add(j)
	return ok
}

// post sends a document to a random node until one accepts it, as a client
// would.
func (l *Load) post(ctx context.Context, rng *rand.Rand, j *Job) {
	for ctx.Err() == nil {
		switch l.Bed.Submit(ctx, l.Nodes[rng.IntN(len(l.Nodes))], j) {
		case http.StatusCreated, http.StatusOK, http.StatusUnprocessableEntity, http.StatusConflict:
			return
		}
		Sleep(ctx, 50*time.Millisecond)
	}
}

// puts puts documents on the inbox over one connection, and opens a new one
// after an error. A message has from one to l.Array documents, in turn.
func (l *Load) puts(ctx context.Context, list []*Job, began time.Time, over time.Duration) {
	var conn *Client
	defer func() {
		if conn != nil {
			conn.Close()
		}
	}()
	size := 0
	for at := 0; at < len(list); at += size {
		size = min(size%max(l.Array, 1)+1, len(list)-at)
		for i := at; i < at+size; i++ {
			if !l.due(ctx, list[i], began, over, i, len(list)) {
				return
			}
		}
		for ctx.Err() == nil {
			if conn = l.put(conn, list[at:at+size]); conn != nil {
				break
			}
			Sleep(ctx, 20*time.Millisecond)
		}
	}
}

// put puts jobs in one message. It returns the connection, or nil after an error.
func (l *Load) put(conn *Client, list []*Job) *Client {
	var err error
	asked := time.Now()
	if conn == nil {
		conn, err = DialBeanstalkd(l.Inbox)
	}
	if err == nil {
		err = conn.Put(Inbox, body(list))
	}
	for _, j := range list {
		e := check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Put, Who: l.Inbox, Job: j.ID}
		if err != nil {
			e.Status, e.Text = 1, err.Error()
		}
		l.Bed.History.Note(e)
	}
	if err != nil && conn != nil {
		conn.Close()
		return nil
	}
	return conn
}

// body returns a document, or an array of several.
func body(list []*Job) []byte {
	if len(list) == 1 {
		return list[0].Document
	}
	out := []byte("[")
	for i, j := range list {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, j.Document...)
	}
	return append(out, ']')
}
