package listing

import (
	"encoding/json"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// walk reads an index from a place on, newest first. It has three texts: one reads only
// the index, one also tells which jobs match the rest of the filter, and one also
// fetches the texts to search.
type walk [3]*engine.Query

const (
	walkIndex = iota
	walkRest
	walkText
)

const (
	rest = "(? = '' OR jobs.state = ?) AND (? = '' OR jobs.program = ?) AND (? = '' OR jobs.node = ?)" +
		" AND (CAST(? AS BIGINT) = 0 OR jobs.finished > 0 AND jobs.finished < ?)"
	// The log tail, which may follow the message in error, is not searched.
	texts = ", jobs.program, jobs.labels, jobs.reason, SUBSTR(jobs.error, 1, 8192)"
)

// newWalk returns a walk over jobs. where selects a range of an index.
func newWalk(where string) walk {
	return newWalkOn("jobs.accepted", "jobs.id", "jobs", "jobs", where)
}

// newWalkOn returns a walk over an index. join joins it with jobs.
func newWalkOn(accepted, id, index, join, where string) (w walk) {
	tail := " WHERE " + where + " AND (" + accepted + ", " + id + ") < (?, ?) AND " + accepted + " >= ?" +
		" ORDER BY " + accepted + " DESC, " + id + " DESC LIMIT ?"
	w[walkIndex] = engine.NewQuery("SELECT " + accepted + ", " + id + " FROM " + index + tail)
	w[walkRest] = engine.NewQuery("SELECT " + accepted + ", " + id + ", " + rest + " FROM " + join + tail)
	w[walkText] = engine.NewQuery("SELECT " + accepted + ", " + id + ", " + rest + texts + " FROM " + join + tail)
	return w
}

var (
	allJobs     = newWalk("1 = 1")
	nodeJobs    = newWalk("jobs.node <> '' AND jobs.state <> 'running' AND jobs.node = ? AND jobs.state = ?")
	programJobs = newWalk("jobs.state NOT IN ('queued', 'running') AND jobs.program = ? AND jobs.state = ?")
	stateJobs   = newWalk("jobs.state <> 'queued' AND jobs.state <> 'running' AND jobs.state <> 'succeeded' AND jobs.state = ?")
	queuedJobs  = newWalk("jobs.state = 'queued' AND jobs.server = ? AND jobs.program = ? AND jobs.priority = ?")
	// The arithmetic keeps the planner from walking all jobs to avoid a sort. Few jobs
	// run.
	runningJobs = newWalkOn("(jobs.accepted + 0)", "jobs.id", "jobs", "jobs", "jobs.state = 'running'")
	labelJobs   = newWalkOn("labels.accepted", "labels.job", "labels", "labels JOIN jobs ON jobs.id = labels.job", "labels.label = ?")

	qIDs = engine.NewQuery("SELECT jobs.accepted, jobs.id, " + rest + " FROM jobs WHERE jobs.id >= ? AND jobs.id < ? LIMIT ?")
)

// criteria are the parts of a filter that an index does not cover.
type criteria struct {
	Filter
	text, quoted string // Text in lower case, plain and as JSON writes it
}

func newCriteria(f Filter) *criteria {
	c := &criteria{Filter: f, text: strings.ToLower(f.Text)}
	b, _ := json.Marshal(c.text)
	c.quoted = string(b[1 : len(b)-1])
	return c
}

// kind returns the cheapest text of a walk that is sufficient.
func (c *criteria) kind() int {
	switch {
	case c.Text != "":
		return walkText
	case c.State != "" || c.Program != "" || c.Node != "" || !c.EndedBefore.IsZero():
		return walkRest
	}
	return walkIndex
}

// args returns the arguments of rest.
func (c *criteria) args() []any {
	ended := engine.Micros(c.EndedBefore)
	return []any{string(c.State), string(c.State), c.Program, c.Program, c.Node, c.Node, ended, ended}
}

// found is a place that a walk has read.
type found struct {
	Cursor
	wanted bool
}

// scan reads a row of a walk.
func (c *criteria) scan(r engine.Row) (v found, err error) {
	var program, labels, reason, failure string
	dest := []any{&v.Accepted, &v.ID, &v.wanted, &program, &labels, &reason, &failure}
	switch c.kind() {
	case walkIndex:
		v.wanted = true
		return v, r.Scan(dest[:2]...)
	case walkRest:
		return v, r.Scan(dest[:3]...)
	}
	err = r.Scan(dest...)
	if end := strings.Index(failure, `"log_tail":"`); end >= 0 {
		failure = failure[:end]
	}
	v.wanted = v.wanted && (Contains(c.text, v.ID, program, reason) || Contains(c.quoted, labels, failure))
	return v, err
}

// Contains reports whether one of the texts contains needle, which is in lower case.
func Contains(needle string, texts ...string) bool {
	for _, t := range texts {
		if strings.Contains(strings.ToLower(t), needle) {
			return true
		}
	}
	return false
}
