// Package families counts the jobs that programs have made: a job, those that its program made,
// and those that theirs did.
package families

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// Label is the label of all jobs of a family but the first one; its value is the id of
	// the first one.
	Label = "family"
	// ParentLabel is the label of a job that a program made, with the id of its job.
	ParentLabel = "parent"
	// MaxJobs is the largest number of jobs of a family that are counted.
	MaxJobs = 20_000
)

// Families counts families. [ledger.Ledger] has it.
type Families struct{ ledger engine.Access }

// New returns the Families of a ledger.
func New(a engine.Access) *Families { return &Families{a} }

// Stage is the jobs of one program in a family.
type Stage struct {
	Program string
	States  map[jobs.State]int
	// Ended is how many have ended since a time.
	Ended int
}

var qStages = engine.NewQuery(`SELECT program, state, COUNT(*), SUM(CASE WHEN finished > ? THEN 1 ELSE 0 END), MIN(accepted) FROM jobs
	WHERE id IN (SELECT job FROM labels WHERE label = ? LIMIT ?) GROUP BY program, state ORDER BY 5, 1`)

// Stages counts the jobs of a family by program, without the first one: the programs whose jobs
// came first are first. since is the time for [Stage.Ended]. Of more than MaxJobs it counts some.
func (f *Families) Stages(ctx context.Context, first string, since time.Time) (list []Stage, err error) {
	at := map[string]int{}
	err = f.ledger.Each(ctx, qStages, []any{engine.Micros(since), Label + "=" + first, MaxJobs}, func(r engine.Row) error {
		var program string
		var state jobs.State
		var n, ended int
		var accepted int64
		if err := r.Scan(&program, (*string)(&state), &n, &ended, &accepted); err != nil {
			return err
		}
		i, known := at[program]
		if !known {
			i = len(list)
			at[program] = i
			list = append(list, Stage{Program: program, States: map[jobs.State]int{}})
		}
		list[i].States[state] += n
		list[i].Ended += ended
		return nil
	})
	return list, engine.Wrap("stages", err)
}
