package testbed

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// unknownFor is how long a document may stay in the inbox without faults,
// including a delay.
const unknownFor = 7 * time.Second

// Poller reads result URLs all the time, through every node: before a job is
// submitted, while it waits and runs, and long after its end.
type Poller struct {
	bed   *Testbed
	nodes []*Node

	mu       sync.Mutex
	upcoming []*Job // not submitted yet
	open     []*Job // submitted, not known to have ended
	where    map[*Job]int
	ended    []*Job
	lastEnd  time.Time // time when the last end was seen

	stop context.CancelFunc
	done sync.WaitGroup
}

// StartPolling starts a poller. Each reader waits for rest between two
// requests.
func (bed *Testbed) StartPolling(ctx context.Context, readers int, rest time.Duration, nodes ...*Node) *Poller {
	ctx, stop := context.WithCancel(ctx)
	p := &Poller{bed: bed, nodes: nodes, where: map[*Job]int{}, stop: stop, lastEnd: time.Now()}
	for i := range readers {
		rng := bed.Random("poller" + string(rune('a'+i)))
		p.done.Go(func() {
			for Sleep(ctx, rest) {
				p.readOne(ctx, rng, i%2 == 0)
			}
		})
	}
	return p
}

// Close stops the readers.
func (p *Poller) Close() {
	p.stop()
	p.done.Wait()
}

// expect adds a job that will be submitted soon. When it is submitted, add
// moves it.
func (p *Poller) expect(j *Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upcoming = append(p.upcoming, j)
}

func (p *Poller) add(j *Job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.upcoming {
		if c == j {
			p.upcoming = append(p.upcoming[:i], p.upcoming[i+1:]...)
			break
		}
	}
	if _, open := p.where[j]; !open {
		p.where[j] = len(p.open)
		p.open = append(p.open, j)
	}
}

// readOne asks a random node for a random job.
func (p *Poller) readOne(ctx context.Context, rng *rand.Rand, plain bool) {
	j := p.choose(rng)
	if j == nil {
		return
	}
	p.read(ctx, p.nodes[rng.IntN(len(p.nodes))], j, plain)
}

func (p *Poller) read(ctx context.Context, n *Node, j *Job, plain bool) observation {
	if n.Process.isPaused() {
		return observation{} // the request would block
	}
	s := p.bed.GetResult(ctx, n, j, plain)
	if s.Final() {
		p.markEnded(j)
	}
	return s
}

func (p *Poller) choose(rng *rand.Rand) *Job {
	p.mu.Lock()
	defer p.mu.Unlock()
	lists := [][]*Job{p.open, p.ended, p.upcoming}
	first := 0
	switch roll := rng.IntN(10); {
	case roll == 9:
		first = 2
	case roll > 5:
		first = 1
	}
	for i := range lists {
		if list := lists[(first+i)%len(lists)]; len(list) > 0 {
			return list[rng.IntN(len(list))]
		}
	}
	return nil
}

func (p *Poller) markEnded(j *Job) {
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
	p.lastEnd = time.Now()
}

// Unfinished returns the jobs that are not known to have ended, and the time
// since the last end.
func (p *Poller) Unfinished() (open []*Job, still time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(open, p.open...), time.Since(p.lastEnd)
}

// Ended returns the jobs that are known to have ended.
func (p *Poller) Ended() map[*Job]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := map[*Job]bool{}
	for _, j := range p.ended {
		ended[j] = true
	}
	return ended
}

// Reopen forgets that jobs have ended.
func (p *Poller) Reopen(list []*Job) {
	again := map[*Job]bool{}
	for _, j := range list {
		again[j] = true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = slices.DeleteFunc(p.ended, func(j *Job) bool { return again[j] })
}

// AwaitEnds asks for the open jobs until all have ended or none has ended for
// the time patience. The checker reports the jobs that are left. For jobs that
// beanstalkd lost, which no node knows, it waits less.
func (p *Poller) AwaitEnds(ctx context.Context, patience time.Duration) {
	began := time.Now()
	for turn := 0; ; turn++ {
		open, still := p.Unfinished()
		if len(open) == 0 || still > patience {
			return
		}
		for i, j := range open {
			s := p.read(ctx, p.nodes[(turn+i)%len(p.nodes)], j, true)
			if s.Status == http.StatusNotFound && time.Since(began) > unknownFor {
				p.markEnded(j)
			}
		}
		if !Sleep(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// ReadAll asks every node for every job once.
func (p *Poller) ReadAll(ctx context.Context, list []*Job) {
	var readers sync.WaitGroup
	const many = 4
	for i := range many {
		readers.Go(func() {
			for at := i; at < len(list) && ctx.Err() == nil; at += many {
				for _, n := range p.nodes {
					p.read(ctx, n, list[at], i%2 == 0)
				}
			}
		})
	}
	readers.Wait()
}
