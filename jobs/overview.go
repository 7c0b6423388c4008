package jobs

import "time"

// Overview is the answer to GET /api/v1/overview: how the whole pool stands.
type Overview struct {
	At   time.Time `json:"at"`
	Node string    `json:"node"` // that answers
	// Verdict is the one sentence that a person reads first.
	Verdict Verdict `json:"verdict"`
	Window  Window  `json:"window"`

	// Counts is how many jobs are in each state now, Slots what the nodes that
	// take work can run at once, and Busy how many slots are taken.
	Counts map[State]int64 `json:"counts"`
	Slots  int             `json:"slots"`
	Busy   int             `json:"busy"`
	Queue  Queue           `json:"queue"`

	// Ended counts the jobs that came to their end in the window, by final
	// state; Failures those that failed, by class; Unfinished the attempts that
	// ended without ending their job, by outcome.
	Ended      map[State]int64   `json:"ended"`
	Failures   map[Outcome]int64 `json:"failures"`
	Unfinished map[Outcome]int64 `json:"unfinished"`
	// LastHour is how many jobs ended in the last hour, whatever the window.
	LastHour map[State]int64 `json:"last_hour"`

	// FinishedByNode and FinishedByProgram are jobs that ended per minute, the
	// busiest first, at most 8 and then "others". Depth is the longest that the
	// queue was in each step: queued, running, waiting.
	FinishedByNode    []Series `json:"finished_by_node"`
	FinishedByProgram []Series `json:"finished_by_program"`
	Depth             []Series `json:"depth"`

	Nodes   []Node   `json:"nodes"`   // that have not left, or not in good order
	Servers []Server `json:"servers"` // beanstalkd, as this node sees them
	Running []Result `json:"running"` // at most 12, those that end next first
	Events  []Event  `json:"events"`  // at most 12, the newest
}

// Verdict is a judgement in words.
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

// Level says how much a person has to care.
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

// Series is one line of a plot: a value for each step of a window, null where
// nothing is known.
type Series struct {
	Name   string     `json:"name"`
	Points []*float64 `json:"points"`
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
	// ID changes at every start of the server.
	ID     string  `json:"id,omitempty"`
	Uptime float64 `json:"uptime_seconds,omitzero"`
	// Ready to Buried count the messages in all tubes of this system.
	Ready    int64 `json:"ready"`
	Reserved int64 `json:"reserved"`
	Delayed  int64 `json:"delayed"`
	Buried   int64 `json:"buried"`
	// Overdue counts messages that are reserved for longer than they may be
	// (negative time-left), among those that were looked at.
	Overdue int64 `json:"overdue"`
	// Memory of the server's process in bytes; 0 where it is not on this machine.
	Memory   int64 `json:"memory_bytes,omitzero"`
	Draining bool  `json:"draining,omitempty"`
	// UnreadInbox counts documents on the common inbox where no node takes from it.
	UnreadInbox int64 `json:"unread_inbox,omitzero"`
	// Shared are inboxes from which nodes of other ledgers take documents, too.
	Shared []SharedInbox `json:"shared,omitempty"`
	// Paused are tubes from which the server gives out nothing, for somebody has
	// paused them there.
	Paused []PausedTube `json:"paused,omitempty"`
}

// PausedTube is a tube that somebody has paused with beanstalkd's pause-tube. The
// nodes that take from it resume it within seconds.
type PausedTube struct {
	Tube string `json:"tube"`
	Addr string `json:"addr"` // of the server
	// Program is whose run tube it is; empty for an inbox.
	Program string    `json:"program,omitempty"`
	Until   time.Time `json:"until"`
}

// SharedInbox is an inbox from which nodes of several ledgers take documents: a
// job may run on a node whose results are not at the job's URL.
type SharedInbox struct {
	Tube  string   `json:"tube"`
	Nodes []string `json:"nodes"` // of other ledgers
	// Text says what that means and what to do.
	Text string `json:"text"`
}

// Vitals are how the machine of a node does.
type Vitals struct {
	At time.Time `json:"at"` // on the node's own clock
	// Load is the load average of 1, 5 and 15 minutes.
	Load [3]float64 `json:"load"`
	CPUs int        `json:"cpus"`
	// CPU is the share of all processors that is in use, from 0 to 1.
	CPU             float64  `json:"cpu"`
	MemoryTotal     int64    `json:"memory_total_bytes"`
	MemoryAvailable int64    `json:"memory_available_bytes"`
	Disks           []Disk   `json:"disks"`
	Battery         *Battery `json:"battery,omitempty"`
	// Processes of the running jobs, at most 256.
	Processes []Process `json:"processes"`
	// Quarantine is the job for which the node takes no other; nil where none is.
	Quarantine *Quarantine `json:"quarantine,omitempty"`
}

// Quarantine is a job that was lost with its nodes and so runs with nothing
// beside it.
type Quarantine struct {
	Job string `json:"job"`
	// Running is false while what runs beside it comes to its end first.
	Running bool `json:"running"`
}

// Disk is a file system that a node writes to.
type Disk struct {
	Path  string `json:"path"`
	Use   string `json:"use"` // one or more of data, ledger, store, scratch and programs
	Total int64  `json:"total_bytes"`
	Free  int64  `json:"free_bytes"` // for this user
	// Floor is below what free space no work is taken.
	Floor int64 `json:"floor_bytes"`
}

// Battery of a node.
type Battery struct {
	Charge   float64 `json:"charge"`   // from 0 to 1
	Charging bool    `json:"charging"` // or on the mains
}

// Process is one process of a running job.
type Process struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	PID     int    `json:"pid"`
	Parent  int    `json:"parent_pid"`
	Name    string `json:"name"`
	// CPU is the share of one processor that it uses now; CPUSeconds all that it
	// has used.
	CPU        float64   `json:"cpu"`
	CPUSeconds float64   `json:"cpu_seconds"`
	Memory     int64     `json:"memory_bytes"` // resident
	Started    time.Time `json:"started"`
	Paused     bool      `json:"paused,omitempty"`
}

// Installed is a program on a node.
type Installed struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// Problem says why it cannot be started there; empty for a good one.
	Problem string `json:"problem,omitempty"`
}

// Control is what persons have set about a node, by its name; it outlives the
// instance.
type Control struct {
	// Slots overrides the node's own setting; null: the setting.
	Slots *int `json:"slots"`
	// Paused: no work is taken and running programs stand still.
	Paused bool      `json:"paused"`
	Since  time.Time `json:"since,omitzero"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Updated changes with every change; the ETag of the node stands for it.
	Updated time.Time `json:"updated,omitzero"`
}

// ProgramDetails is the answer to GET /api/v1/programs/<name>.
type ProgramDetails struct {
	Program
	Window Window `json:"window"`
	// Queue is what waits for it now.
	Queue ProgramQueue `json:"queue"`
	// Ended, Failures and Unfinished are as in an [Overview].
	Ended      map[State]int64   `json:"ended"`
	Failures   map[Outcome]int64 `json:"failures"`
	Unfinished map[Outcome]int64 `json:"unfinished"`
	// Finished is jobs that ended per minute, by final state.
	Finished []Series `json:"finished"`
	// Durations counts succeeded attempts by how long they ran.
	Durations []Bin `json:"durations"`
	// Mean of those, in seconds; 0 where there are none.
	Mean float64 `json:"mean_seconds,omitzero"`
}

// Bin of a histogram: how many were longer than the bin before and at most UpTo
// seconds. The last bin has no end: 0.
type Bin struct {
	UpTo float64 `json:"up_to_seconds"`
	N    int64   `json:"n"`
}

// Programs is the answer to GET /api/v1/programs.
type Programs struct {
	Programs []Program `json:"programs"`
	Next     string    `json:"next,omitempty"` // cursor of the next page
}

// Program is one that a node has announced at some time.
type Program struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// SHA256 is what was announced last.
	SHA256 string `json:"sha256"`
	// Input and Result are JSON Schemas; null where there are none.
	Input  any `json:"input,omitempty"`
	Result any `json:"result,omitempty"`
	// Nodes are those that are up and have it.
	Nodes []InstalledOn `json:"nodes"`
	// Ended counts the jobs that came to their end in the last 24 hours.
	Ended   map[State]int64 `json:"ended,omitempty"`
	Queued  int64           `json:"queued"`
	Running int64           `json:"running"`
}

// InstalledOn says which version of a program a node has.
type InstalledOn struct {
	Node   string `json:"node"`
	SHA256 string `json:"sha256"`
	// Problem says why it cannot be started there; empty for a good one.
	Problem string `json:"problem,omitempty"`
}

// EventPage is the answer to GET /api/v1/events, newest first.
type EventPage struct {
	Events []Event `json:"events"`
	Next   string  `json:"next,omitempty"` // cursor of the next page
	// Back is how far back in time this page has looked, where that is not
	// plain from its events.
	Back time.Time `json:"back,omitzero"`
}

// JobSeries is the answer to GET /api/v1/jobs/<id>/series: what the newest
// attempt said about itself, over time.
type JobSeries struct {
	Attempt int `json:"attempt"`
	// Seconds since the attempt started, one for each point.
	Seconds []float64 `json:"seconds"`
	// Series are "progress" and the counters.
	Series []Series `json:"series"`
}
