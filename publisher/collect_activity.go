package publisher

import (
	"context"

	"github.com/runnerbean/runnerbean/jobs"
)

func (p *Publisher) addQueue(ctx context.Context, o *jobs.Overview, _ lookback) error {
	drains, err := p.drains(ctx)
	o.Queue = jobs.Queue{
		Queued: o.Counts[jobs.Queued], Waiting: o.Counts[jobs.Waiting], Drained: drains.Queue,
		Programs: []jobs.ProgramQueue{},
	}
	return err
}

func (p *Publisher) addActivity(_ context.Context, o *jobs.Overview, s lookback) error {
	o.Window = jobs.Window{Name: s.name, From: o.At.Add(-s.length), Until: o.At, Step: 60}
	o.Ended, o.LastHour = map[jobs.State]int64{}, map[jobs.State]int64{}
	o.Failures, o.Unfinished = map[jobs.Outcome]int64{}, map[jobs.Outcome]int64{}
	o.FinishedByNode, o.FinishedByProgram, o.Depth = []jobs.Series{}, []jobs.Series{}, []jobs.Series{}
	return nil
}

func (p *Publisher) addProgramActivity(_ context.Context, d *jobs.ProgramDetails, s lookback) error {
	d.Window = jobs.Window{Name: s.name, Step: 60}
	d.Ended = map[jobs.State]int64{}
	d.Failures, d.Unfinished = map[jobs.Outcome]int64{}, map[jobs.Outcome]int64{}
	d.Finished, d.Durations = []jobs.Series{}, []jobs.Bin{}
	return nil
}
