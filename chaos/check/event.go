// Package check evaluates the history of a chaos run: what was done to a
// running Runnerbean, and what could be seen of it from outside. It uses only
// the history file, so that an old one can be checked again, and shares no code
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

// The values of Event.What.
const (
	// Scenario is the first line: Who is the scenario, Seed its seed, Text its
	// replay line. Target says how many of the scenario's faults (N) are
	// wanted.
	Scenario = "scenario"
	Target   = "target"
	// Start, Up, Died: process Who was started (N: its slots), answers, has
	// ended unexpectedly.
	Start = "start"
	Up    = "up"
	Died  = "died"
	// Kill, Stop, Continue, Term: process Who was sent SIGKILL, SIGSTOP, SIGCONT, SIGTERM.
	Kill     = "kill"
	Stop     = "stop"
	Continue = "continue"
	Term     = "term"
	// KillProgram: process N of a program was sent SIGKILL.
	KillProgram = "kill-program"
	// Wipe: the binlog of beanstalkd Who was deleted.
	Wipe = "wipe"
	// Cut: a connection Who was cut after N bytes. Clock: the clock of Who was moved by N seconds.
	Cut   = "cut"
	Clock = "clock"
	// Post: node Who answered Status to the document of Job. Put: beanstalkd Who took
	// the document of Job into the inbox (Status 0), or did not answer so (Status 1).
	Post = "post"
	Put  = "put"
	// Inbox: the inbox of beanstalkd Who has N documents.
	Inbox = "inbox"
	// Get: node Who answered the result URL of Job with Status, State and a
	// body with the SHA-256 Sum. Status 0 means no answer. State is Gone where the
	// answer says that the job was deleted. Text says what is wrong with the body.
	Get = "get"
	// Run, Ran: the program of Job began, and ended with exit code Status, on node
	// Who as Attempt. N is the process of a stream program.
	Run = "run"
	Ran = "ran"
	// Deleted: node Who deleted a message of Job from a run tube.
	Deleted = "deleted"
	// Tube: tube Who has N messages.
	Tube = "tube"
	// Measure: Text was measured as N. At most Most, or at least Least, was
	// wanted.
	Measure = "measure"
	// Meant: Job is meant to end as State, and to be deleted N seconds after that; 0:
	// never. Remove: somebody asks to delete Job. Prune: somebody asks to delete
	// all jobs that ended N seconds ago or earlier.
	Meant  = "meant"
	Remove = "remove"
	Prune  = "prune"
	// Parts: node Who answered to the URLs of the parts of Job with the status codes
	// Parts.
	Parts = "parts"
	// Backup: the backup Who was made, from T on. Restore: it has replaced ledger
	// and store; no node ran meanwhile.
	Backup  = "backup"
	Restore = "restore"
	// ClockSeen: all processes have followed the last Clock of Everybody.
	ClockSeen = "clock-seen"
	Everybody = "everybody"
	// Calm: the scenario causes no more faults.
	Calm = "calm"
	// Note is a remark for readers.
	Note = "note"
	// End is the last line. A history without it is incomplete.
	End = "end"
)

// Gone is the State of a job whose URL says that it was deleted.
const Gone = "gone"

func final(state string) bool {
	return state == "succeeded" || state == "failed" || state == "cancelled" || state == Gone
}

// Event is one line of a history.
type Event struct {
	T       int64    `json:"t"`              // nanoseconds since 1970; where there is an answer, the time of the request
	Took    int64    `json:"took,omitempty"` // nanoseconds from the request to the answer
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
	// Parts are status codes. "before" and "after" are those of the result URL, asked
	// before and after the others.
	Parts map[string]int `json:"parts,omitempty"`
}

// Read reads a history. Several processes append to it, so Read sorts the lines
// by time.
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
