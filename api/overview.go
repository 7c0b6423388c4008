package api

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Others is the name of the series of all that have no series of their own.
const Others = "others"

// Overview is the answer to GET /api/v1/overview: the state of the whole pool.
type Overview struct {
	At   time.Time `json:"at"`
	Node string    `json:"node"` // that answers
	// Verdict is the one sentence that a person reads first.
	Verdict Verdict `json:"verdict"`
	Window  Window  `json:"window"`

	// Counts is how many jobs are in each state now, Slots what the nodes that
	// take work can run at once, and Busy how many slots are taken.
	Counts map[jobs.State]int64 `json:"counts"`
	Slots  int                  `json:"slots"`
	Busy   int                  `json:"busy"`
	Queue  Queue                `json:"queue"`

	// Ended counts the jobs that came to their end in the window, by final
	// state; Failures those that failed, by class; Unfinished the attempts that
	// ended without ending their job, by outcome.
	Ended      map[jobs.State]int64   `json:"ended"`
	Failures   map[jobs.Outcome]int64 `json:"failures"`
	Unfinished map[jobs.Outcome]int64 `json:"unfinished"`
	// LastHour is how many jobs ended in the last hour, whatever the window.
	LastHour map[jobs.State]int64 `json:"last_hour"`

	// FinishedByNode and FinishedByProgram are jobs that ended per minute, the
	// busiest first, at most 8 and then [Others]. Depth is the longest that the
	// queue was in each step: queued, running, waiting.
	FinishedByNode    []Series `json:"finished_by_node"`
	FinishedByProgram []Series `json:"finished_by_program"`
	Depth             []Series `json:"depth"`

	Nodes   []Node        `json:"nodes"`   // that have not left, or not in good order
	Servers []Server      `json:"servers"` // beanstalkd, as this node sees them
	Running []jobs.Result `json:"running"` // at most 12, those that end next first
	Events  []Event       `json:"events"`  // at most 12, the newest
}

// Verdict says in words how the pool is.
type Verdict struct {
	Level    Level     `json:"level"`
	Text     string    `json:"text"`
	Findings []Finding `json:"findings"` // the worst first; empty where all is well
}

// Finding is one thing that is not as it should be.
type Finding struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// Path of the page that tells more, such as /nodes/worker3.
	Path string `json:"path,omitempty"`
}

// Level is the severity of a finding.
type Level string

// The levels, from the best to the worst.
const (
	LevelOK   Level = "ok"
	LevelWarn Level = "warn"
	LevelBad  Level = "bad"
)

// Window is a span of time in equal steps.
type Window struct {
	Name  string    `json:"name"` // 15m, 1h, 6h, 24h, 7d or 30d
	From  time.Time `json:"from"` // of the first step
	Until time.Time `json:"until"`
	Step  float64   `json:"step_seconds"`
}

// Queue is what waits to be run.
type Queue struct {
	Queued  int64 `json:"queued"`
	Waiting int64 `json:"waiting"` // for other jobs, or for a program that no node has announced yet
	// Scheduled is how many of Queued are not due: their start is set for later, or
	// they back off. Of a program with more than 10,000 such jobs and 100,000 that
	// are due, at least 10,000 are counted.
	Scheduled int64 `json:"scheduled"`
	// Oldest is since when the job could have started that has been due for the
	// longest; zero where none is due.
	Oldest time.Time `json:"oldest,omitzero"`
	// Programs are those that have jobs which have not ended.
	Programs []ProgramQueue `json:"programs"`
	Drained  *Drain         `json:"drained,omitempty"`
	// Missing are needs that nobody has put for ten minutes or more.
	Missing *MissingNeeds `json:"missing,omitempty"`
	// Interrupted are the jobs that the restarts of their nodes have interrupted three
	// times or more.
	Interrupted *Interrupted `json:"interrupted,omitempty"`
}

// MissingNeeds are needs of waiting jobs that nobody has put.
type MissingNeeds struct {
	Count int `json:"count"` // at most 1000
	// Job has waited for Need for the longest, since Since.
	Job   string    `json:"job"`
	Need  string    `json:"need"`
	Since time.Time `json:"since"`
}

// Interrupted are jobs that may be longer than the time between two restarts.
type Interrupted struct {
	Count int `json:"count"` // at most 1000
	// Job is the one with the most interruptions, Longest the longest of its runs.
	Job     string  `json:"job"`
	Times   int     `json:"times"`
	Longest float64 `json:"longest_seconds"`
}

// ProgramQueue is what waits for one program.
type ProgramQueue struct {
	Program   string    `json:"program"`
	Queued    int64     `json:"queued"`
	Scheduled int64     `json:"scheduled"`
	Running   int64     `json:"running"`
	Waiting   int64     `json:"waiting"`
	Oldest    time.Time `json:"oldest,omitzero"`
	// Due is the same as Oldest.
	Due time.Time `json:"due,omitzero"`
}

// DueNow is how many of the queued jobs could start now.
func (q ProgramQueue) DueNow() int64 { return max(0, q.Queued-q.Scheduled) }

// DueNow is how many of the queued jobs could start now.
func (q Queue) DueNow() int64 { return max(0, q.Queued-q.Scheduled) }

// Server is one beanstalkd server as a node sees it.
type Server struct {
	Addr    string `json:"addr"`
	OK      bool   `json:"ok"`
	Error   string `json:"error,omitempty"`
	Version string `json:"version,omitempty"`
	// State is one of the states of servers below, as the answering node sees it, and Since
	// is when that node has first seen it.
	State ServerState `json:"state,omitempty"`
	Since time.Time   `json:"since,omitzero"`
	// ID changes at every start of the server.
	ID     string  `json:"id,omitempty"`
	Uptime float64 `json:"uptime_seconds,omitzero"`
	// Ready to Buried count the messages in all tubes of this system.
	Ready    int64 `json:"ready"`
	Reserved int64 `json:"reserved"`
	Delayed  int64 `json:"delayed"`
	Buried   int64 `json:"buried"`
	// Inbox counts the messages among them that are on inboxes: a node has not recorded
	// their documents yet. A message has one document or several.
	Inbox int64 `json:"inbox"`
	// Overdue counts messages that are reserved for longer than they may be
	// (negative time-left), among those that were looked at.
	Overdue int64 `json:"overdue"`
	// Memory of the server's process in bytes; 0 where it is not on this machine.
	Memory   int64 `json:"memory_bytes,omitzero"`
	Draining bool  `json:"draining,omitempty"`
	// UnreadInbox counts messages on the common inbox where no node takes from it. A
	// message has one document or several.
	UnreadInbox int64 `json:"unread_inbox,omitzero"`
	// Orphaned are inboxes with messages of nodes that do not exist or are not up.
	Orphaned []OrphanedInbox `json:"orphaned,omitempty"`
	// Shared are inboxes from which nodes of other ledgers take documents, too.
	Shared []SharedInbox `json:"shared,omitempty"`
	// Paused are tubes from which the server gives out nothing, because somebody has
	// paused them there.
	Paused []PausedTube `json:"paused,omitempty"`
}

// ServerState is how a beanstalkd server is doing.
type ServerState string

// States of servers. Nodes leave one that is full or drains alone for a while, and put
// messages on the others.
const (
	ServerUp       ServerState = "up"
	ServerSlow     ServerState = "slow"     // it takes long to answer
	ServerFull     ServerState = "full"     // it has refused the last message of the node
	ServerDraining ServerState = "draining" // it takes no messages
	ServerDown     ServerState = "down"     // it does not answer
)

// PausedTube is a tube that somebody has paused with beanstalkd's pause-tube. The
// nodes that take from it resume it within seconds.
type PausedTube struct {
	Tube string `json:"tube"`
	Addr string `json:"addr"` // of the server
	// Program is whose run tube it is; empty for an inbox.
	Program string    `json:"program,omitempty"`
	Until   time.Time `json:"until"`
}

// OrphanedInbox is an inbox with messages from which no node takes. A message has one
// document or several.
type OrphanedInbox struct {
	Tube     string `json:"tube"`
	Node     string `json:"node"` // as the tube names it
	Messages int64  `json:"messages"`
}

// SharedInbox is an inbox from which nodes of several ledgers take documents: a
// job may run on a node whose results are not at the job's URL.
type SharedInbox struct {
	Tube  string   `json:"tube"`
	Nodes []string `json:"nodes"` // of other ledgers
	// Text says what that means and what to do.
	Text string `json:"text"`
}
