// Package loops records jobs that repeat. A loop is the jobs that come of one document with
// repeat: the success of one makes the next, in the same transaction, so that a loop has at most
// one job that has not ended, and never stands still because a node died. The id of a loop is
// that of its first job.
package loops

import (
	"context"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// Loops reads loops. [ledger.Ledger] has it.
type Loops struct{ ledger engine.Access }

// New returns the Loops of a ledger.
func New(a engine.Access) *Loops { return &Loops{a} }

// Loop is a loop as it stands.
type Loop struct {
	ID     string // of the loop and its first job
	Runs   int    // the number of the newest job; the first has 1
	Newest string // id of the newest job
	// Latest is the id of the newest success, and LatestRun its number; "" and 0 before it.
	Latest    string
	LatestRun int
	// Ended is when a person ended the loop for good, or zero; EndedBy is who.
	Ended   time.Time
	EndedBy string
}

// Place is a job in its loop.
type Place struct {
	Loop
	Run int // the number of the job
	// Previous and Next are the ids of the jobs before and after it, "" where there is none
	// or where it was deleted.
	Previous, Next string
}

var (
	qPlace = engine.NewQuery("SELECT loop, run FROM jobs WHERE id = ?")
	qLoop  = engine.NewQuery("SELECT id, runs, newest, latest, latest_run, ended, ended_by FROM loops WHERE id = ?")
	// A job whose id another job had has a higher number: the numbers may have gaps.
	qPrevious = engine.NewQuery("SELECT id FROM jobs WHERE loop = ? AND loop <> '' AND run < ? ORDER BY run DESC LIMIT 1")
	qRun      = engine.NewQuery("SELECT id FROM jobs WHERE loop = ? AND loop <> '' AND run = ?")
	qNext     = engine.NewQuery("SELECT id FROM jobs WHERE loop = ? AND loop <> '' AND run > ? ORDER BY run LIMIT 1")
)

// dest returns the targets of qLoop.
func (l *Loop) dest(ended *int64) []any {
	return []any{&l.ID, &l.Runs, &l.Newest, &l.Latest, &l.LatestRun, ended, &l.EndedBy}
}

// Find returns the loop of a job, or the one that has the id: its first job may have been
// deleted. found is false if there is none.
func (l *Loops) Find(ctx context.Context, id string) (loop Loop, found bool, err error) {
	defer l.ledger.Observe("loop", time.Now(), &err)
	of, _, err := l.placeOf(ctx, id)
	if err != nil {
		return loop, false, engine.Wrap("loop", err)
	}
	if of == "" {
		of = id
	}
	loop, found, err = l.read(ctx, of)
	return loop, found, engine.Wrap("loop", err)
}

// Place returns the place of a job in its loop. found is false if the job does not repeat, or if
// the ledger does not hold it.
func (l *Loops) Place(ctx context.Context, id string) (p Place, found bool, err error) {
	defer l.ledger.Observe("loop", time.Now(), &err)
	of, run, err := l.placeOf(ctx, id)
	if err != nil || of == "" {
		return p, false, engine.Wrap("loop", err)
	}
	p.Run = run
	if p.Loop, found, err = l.read(ctx, of); err != nil || !found {
		return p, false, engine.Wrap("loop", err)
	}
	if _, err = l.ledger.Row(ctx, qPrevious, []any{of, run}, &p.Previous); err == nil {
		_, err = l.ledger.Row(ctx, qNext, []any{of, run}, &p.Next)
	}
	return p, err == nil, engine.Wrap("loop", err)
}

// Run returns the id of a run of a loop. found is false if the ledger does not hold it: it was not
// made, or was deleted.
func (l *Loops) Run(ctx context.Context, loop string, run int) (id string, found bool, err error) {
	found, err = l.ledger.Row(ctx, qRun, []any{loop, run}, &id)
	return id, found, engine.Wrap("run of a loop", err)
}

func (l *Loops) placeOf(ctx context.Context, id string) (loop string, run int, err error) {
	_, err = l.ledger.Row(ctx, qPlace, []any{id}, &loop, &run)
	return loop, run, err
}

func (l *Loops) read(ctx context.Context, id string) (loop Loop, found bool, err error) {
	var ended int64
	found, err = l.ledger.Row(ctx, qLoop, []any{id}, loop.dest(&ended)...)
	loop.Ended = engine.FromMicros(ended)
	return loop, found, err
}
