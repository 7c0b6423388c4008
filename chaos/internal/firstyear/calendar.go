package firstyear

import (
	"math/rand/v2"
	"time"

	"github.com/runnerbean/runnerbean/chaos/internal/testbed"
)

const week = 7 * day

// year is a pool that lives for weeks of a moved clock on a small disk.
type year struct {
	pool       *pool
	rng        *rand.Rand
	old, today string
	kinds      []kind
	plan       plan
	disk       *disk
	all        []*job
	due        []*job  // their time is over, and they were still there
	backup     *backup // the newest; nil: none
}

// plan says what happens in which week.
type plan struct {
	weeks, jobs int // jobs of each week
	keep        int // weeks that most jobs are kept
	backups     func(week int) bool
	restores    func(week int) bool
	full        func(week int) bool // the disk fills up
	pad         int                 // most bytes that fill up an input, and so a result
	diskSize    int                 // bytes
	mostUsed    float64             // MiB, without what the scenario itself puts on the disk
}

var (
	fullPlan = plan{
		weeks: 52, jobs: 1930, keep: 6, pad: 3000, diskSize: 320 << 20, mostUsed: 256,
		backups:  func(week int) bool { return week%4 == 3 },
		restores: func(week int) bool { return week%13 == 10 },
		full:     func(week int) bool { return week == 20 || week == 41 },
	}
	shortPlan = plan{
		weeks: 5, jobs: 400, keep: 2, pad: 20_000, diskSize: 128 << 20, mostUsed: 96,
		backups:  func(week int) bool { return week == 2 },
		restores: func(week int) bool { return week == 3 },
		full:     func(week int) bool { return week == 2 || week == 4 },
	}
)

// kindsOfYear returns the kinds of jobs of a pool that keeps jobs for so many weeks.
func kindsOfYear(keep int) []kind {
	return []kind{
		{program: "echo", keep: time.Duration(keep) * week, state: "succeeded", share: 80},
		{program: "keeper", keep: time.Duration(keep) * week, state: "succeeded", share: 2},
		{program: "refuse", keep: time.Duration(keep) * week, state: "failed", share: 1},
		// The first program does not know these.
		{program: "echo", asks: "1w", keep: week, state: "succeeded", share: 9},
		{program: "keeper", asks: map[string]string{"succeeded": "1w"}, keep: week, state: "succeeded", share: 2},
		{program: "refuse", asks: map[string]string{"succeeded": "forever", "failed": "1w"}, keep: week, state: "failed", share: 1},
		{program: "echo", asks: "forever", state: "succeeded", share: 1},
		{program: "brief", keep: 2 * week, state: "succeeded", share: 4},
	}
}

// oldKinds are the first kinds of kindsOfYear.
const oldKinds = 3

// backup is an archive, and what was known when it was begun.
type backup struct {
	name  string
	path  string
	ended map[*testbed.Job]bool
	gone  map[*job]bool
}
