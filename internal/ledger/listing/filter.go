package listing

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Filter selects jobs. Zero fields select all.
type Filter struct {
	State   jobs.State
	Program string
	Node    string
	Label   string // "key=value"
	// Since and Until bound the time of acceptance: not before Since, and before Until.
	Since, Until time.Time
	// EndedBefore selects jobs that have ended before a time.
	EndedBefore time.Time
	// Text is the beginning of an id (at least 8 characters), a label as "key=value", or
	// any text in id, program, labels, reason or error message. Case does not matter.
	Text string
	// Cursor is the Next of the page before; empty for the newest jobs.
	Cursor string
	// Limit is the largest number of jobs on a page. Default 50, at most 1,000.
	Limit int
}
