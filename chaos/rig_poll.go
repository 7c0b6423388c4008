package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// unknownFor is how long a document may lie in the inbox of a server that is
// left in peace, put aside for a while included.
const unknownFor = 7 * time.Second

// poller reads result URLs all the time, through every node: before a job is
// submitted, while it waits and runs, and long after its end.
type poller struct {
	rig   *rig
	nodes []*node

	mu     sync.Mutex
	coming []*job // not submitted yet, the next one last
	open   []*job // submitted, no end seen
	where  map[*job]int
	ended  []*job
	moved  time.Time // when an end was seen last

	stop context.CancelFunc
	done sync.WaitGroup
}

// startPolling starts a poller with so many readers, each of which rests between two polls.
func (r *rig) startPolling(ctx context.Context, readers int, rest time.Duration, nodes ...*node) *poller {
	ctx, stop := context.WithCancel(ctx)
	p := &poller{rig: r, nodes: nodes, where: map[*job]int{}, stop: stop, moved: time.Now()}
	for i := range readers {
		chance := r.random("poller" + string(rune('a'+i)))
		p.done.Go(func() {
			for sleep(ctx, rest) {
				p.once(ctx, chance, i%2 == 0)
			}
		})
	}
	return p
}

// close ends the readers.
func (p *poller) close() {
	p.stop()
	p.done.Wait()
}

// expect announces a job that is to be submitted soon; add says that it is being.
func (p *poller) expect(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.coming = append(p.coming, j)
}

func (p *poller) add(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.coming {
		if c == j {
			p.coming = append(p.coming[:i], p.coming[i+1:]...)
			break
		}
	}
	p.where[j] = len(p.open)
	p.open = append(p.open, j)
}

// once asks a node at random for a job at random.
func (p *poller) once(ctx context.Context, chance *rand.Rand, plain bool) {
	j := p.choose(chance)
	if j == nil {
		return
	}
	p.ask(ctx, p.nodes[chance.IntN(len(p.nodes))], j, plain)
}

func (p *poller) ask(ctx context.Context, n *node, j *job, plain bool) seen {
	if n.stopped() {
		return seen{} // it would hold the reader up
	}
	s := p.rig.get(ctx, n, j, plain)
	if s.final() {
		p.end(j)
	}
	return s
}

func (p *poller) choose(chance *rand.Rand) *job {
	p.mu.Lock()
	defer p.mu.Unlock()
	lists := [][]*job{p.open, p.ended, p.coming}
	first := 0
	switch roll := chance.IntN(10); {
	case roll == 9:
		first = 2
	case roll > 5:
		first = 1
	}
	for i := range lists {
		if list := lists[(first+i)%len(lists)]; len(list) > 0 {
			return list[chance.IntN(len(list))]
		}
	}
	return nil
}

func (p *poller) end(j *job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, open := p.where[j]
	if !open {
		return
	}
	last := p.open[len(p.open)-1]
	p.open[at], p.where[last] = last, at
	p.open = p.open[:len(p.open)-1]
	delete(p.where, j)
	p.ended = append(p.ended, j)
	p.moved = time.Now()
}

// left lists the jobs whose end was not seen, and for how long none was.
func (p *poller) left() (open []*job, still time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(open, p.open...), time.Since(p.moved)
}

// settle asks for the jobs that are left, again and again, until all have ended
// or none has for so long; what is left then is for the checker. Jobs that
// nobody knows, for they were lost with beanstalkd, are waited for less.
func (p *poller) settle(ctx context.Context, patience time.Duration) {
	began := time.Now()
	for turn := 0; ; turn++ {
		open, still := p.left()
		if len(open) == 0 || still > patience {
			return
		}
		for i, j := range open {
			s := p.ask(ctx, p.nodes[(turn+i)%len(p.nodes)], j, true)
			if s.status == http.StatusNotFound && time.Since(began) > unknownFor {
				p.end(j)
			}
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// sweep asks every node for every job once.
func (p *poller) sweep(ctx context.Context, list []*job) {
	var readers sync.WaitGroup
	const many = 4
	for i := range many {
		readers.Go(func() {
			for at := i; at < len(list) && ctx.Err() == nil; at += many {
				for _, n := range p.nodes {
					p.ask(ctx, n, list[at], i%2 == 0)
				}
			}
		})
	}
	readers.Wait()
}
