package stream

import (
	"cmp"
	"slices"
	"time"

	"github.com/runnerbean/runnerbean/api"
)

const (
	// maxWarm bounds the processes that are listed, and maxMembers the descendants of one
	// whose memory is counted.
	maxWarm    = 256
	maxMembers = 64
)

// Warm lists the processes, by program and start. It reads a few files for each. They may
// be read at any time.
func (p *Pool) Warm() []api.WarmProcess {
	list, workers := p.list()
	for i, w := range workers {
		for _, one := range w.stream.Handle.Processes(maxMembers) {
			list[i].Memory += one.Memory
		}
	}
	slices.SortFunc(list, func(a, b api.WarmProcess) int {
		return cmp.Or(cmp.Compare(a.Program, b.Program), a.Started.Compare(b.Started), cmp.Compare(a.PID, b.PID))
	})
	return list
}

func (p *Pool) list() (list []api.WarmProcess, workers []*worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.all {
		if w.stream == nil || w.ending || len(list) == maxWarm {
			continue
		}
		list = append(list, api.WarmProcess{
			Program: w.program.About.Name, PID: w.stream.PID, Started: w.stream.Started.UTC().Truncate(time.Millisecond), Jobs: w.jobs, Job: w.job,
		})
		workers = append(workers, w)
	}
	return list, workers
}
