package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/chaos/check"
)

// load submits jobs, evenly over a time, by both doors.
type load struct {
	rig   *rig
	poll  *poller
	nodes []*node
	inbox string // address of the server whose inbox takes every other job; "" = all are posted
}

// submit returns when the last job was taken.
func (l *load) submit(ctx context.Context, list []*job, over time.Duration) {
	began := time.Now()
	var posters sync.WaitGroup
	var puts []*job
	const many = 8
	for i := range many {
		chance := l.rig.random("submitter" + string(rune('a'+i)))
		var mine []int
		for at := i; at < len(list); at += many {
			if l.inbox == "" || at/many%2 == 0 {
				mine = append(mine, at)
			}
		}
		posters.Go(func() {
			for _, at := range mine {
				if !l.due(ctx, list[at], began, over, at, len(list)) {
					return
				}
				l.post(ctx, chance, list[at])
			}
		})
	}
	for at, j := range list {
		if l.inbox != "" && at/many%2 == 1 {
			puts = append(puts, j)
		}
	}
	if len(puts) > 0 {
		posters.Go(func() { l.puts(ctx, puts, began, over) })
	}
	posters.Wait()
}

// due waits until it is a job's turn.
func (l *load) due(ctx context.Context, j *job, began time.Time, over time.Duration, at, of int) bool {
	l.poll.expect(j)
	wait := time.Until(began.Add(over * time.Duration(at) / time.Duration(of)))
	ok := sleep(ctx, max(wait, 0))
	l.poll.add(j)
	return ok
}

// post sends a document to any node until one has taken it, as a client would.
func (l *load) post(ctx context.Context, chance *rand.Rand, j *job) {
	for ctx.Err() == nil {
		switch l.rig.post(ctx, l.nodes[chance.IntN(len(l.nodes))], j) {
		case http.StatusCreated, http.StatusOK:
			return
		}
		sleep(ctx, 50*time.Millisecond)
	}
}

// puts puts documents on the inbox over one connection, a new one after an error.
func (l *load) puts(ctx context.Context, list []*job, began time.Time, over time.Duration) {
	var conn *beanstalk
	for at, j := range list {
		if !l.due(ctx, j, began, over, at, len(list)) {
			break
		}
		for ctx.Err() == nil {
			var err error
			asked := time.Now()
			if conn == nil {
				conn, err = dialBeanstalkd(l.inbox)
			}
			if err == nil {
				err = conn.put(inbox, j.document)
			}
			e := check.Event{T: asked.UnixNano(), Took: int64(time.Since(asked)), What: check.Put, Who: "beanstalkd", Job: j.id}
			if err == nil {
				l.rig.note(e)
				break
			}
			e.Status, e.Text = 1, err.Error()
			l.rig.note(e)
			if conn != nil {
				conn.close()
				conn = nil
			}
			sleep(ctx, 20*time.Millisecond)
		}
	}
	if conn != nil {
		conn.close()
	}
}
