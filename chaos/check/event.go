// Package check judges a history of a chaos run: what was done to a running
// Runnerbean, and what could be seen of it from outside. It knows nothing but
// the history file, so that an old one can be judged again, and shares no code
// with the product.
package check

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// What happened, in the words of a history.
const (
	// Scenario is the first line: Who is the scenario, Seed its seed, Text its replay
	// line. Target says that N of what the scenario is about are wanted.
	Scenario = "scenario"
	Target   = "target"
	// Start, Up, Died: process Who was started (N: its slots), answers, has ended although nobody asked it to.
	Start = "start"
	Up    = "up"
	Died  = "died"
	// Kill, Stop, Continue, Term: process Who was sent SIGKILL, SIGSTOP, SIGCONT, SIGTERM.
	Kill     = "kill"
	Stop     = "stop"
	Continue = "continue"
	Term     = "term"
	// Wipe: the binlog of beanstalkd Who was deleted.
	Wipe = "wipe"
	// Cut: a connection Who was cut after N bytes. Clock: the clock of Who was moved by N seconds.
	Cut   = "cut"
	Clock = "clock"
	// Post: node Who answered Status to the document of Job. Put: beanstalkd Who took
	// the document of Job into the inbox (Status 0), or did not answer so (Status 1).
	Post = "post"
	Put  = "put"
	// Inbox: N documents are in the inbox of beanstalkd Who.
	Inbox = "inbox"
	// Get: node Who answered Status, and State and the SHA-256 Sum of the body, to
	// the result URL of Job; Status 0: it did not answer. Text: what is wrong with the body.
	Get = "get"
	// Run, Ran: the program of Job began, and ended with exit code Status, on node
	// Who as Attempt.
	Run = "run"
	Ran = "ran"
	// Deleted: node Who deleted a message of Job from a run tube.
	Deleted = "deleted"
	// Tube: N messages are on tube Who.
	Tube = "tube"
	// Measure: Text was measured as N where at most Most (or, if it is set, at
	// least Least) was wanted.
	Measure = "measure"
	// Calm: from here on nothing more is done to the system.
	Calm = "calm"
	// Note is for readers.
	Note = "note"
	// End is the last line; without it the history is broken off.
	End = "end"
)

// Event is one line of a history.
type Event struct {
	T       int64    `json:"t"`              // nanoseconds since 1970; of a Get or Put, when it was asked
	Took    int64    `json:"took,omitempty"` // nanoseconds from there to its answer
	What    string   `json:"what"`
	Who     string   `json:"who,omitempty"`
	Job     string   `json:"job,omitempty"`
	Attempt int      `json:"attempt,omitempty"`
	Status  int      `json:"status,omitempty"`
	State   string   `json:"state,omitempty"`
	Sum     string   `json:"sha256,omitempty"`
	N       float64  `json:"n,omitempty"`
	Most    *float64 `json:"most,omitempty"`
	Least   *float64 `json:"least,omitempty"`
	Seed    uint64   `json:"seed,omitempty"`
	Text    string   `json:"text,omitempty"`
}

// Read reads a history. Programs append to it beside the rig, so the lines are
// sorted by time.
func Read(r io.Reader) ([]Event, error) {
	var events []Event
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("line %d of the history: %w", n, err)
		}
		events = append(events, e)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return sorted(events), nil
}

func sorted(events []Event) []Event {
	slices.SortStableFunc(events, func(a, b Event) int { return cmp.Compare(a.T, b.T) })
	return events
}
