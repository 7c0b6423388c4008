package api

import "time"

// Drain says since when and why a node, or the queue, takes no work.
type Drain struct {
	Node   string    `json:"node,omitempty"` // empty: the whole queue
	Since  time.Time `json:"since"`
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
}

// Drains is the answer to /api/v1/drain: what is drained now.
type Drains struct {
	// Queue is nil where new jobs are accepted.
	Queue *Drain  `json:"queue"`
	Nodes []Drain `json:"nodes"`
}

// Nodes is the answer to GET /api/v1/nodes.
type Nodes struct {
	Nodes []Node `json:"nodes"`
	// Differences say what the living nodes of the pool should have alike and have not.
	Differences []string `json:"differences,omitempty"`
	Next        string   `json:"next,omitempty"` // cursor of the next page
}

// Forgotten is the answer to DELETE /api/v1/nodes/{name}.
type Forgotten struct {
	Node string `json:"node"`
	// Instances is how many lives of the node were removed from the record.
	Instances int `json:"instances"`
}

// MaxSlots is the most slots that a node may have.
const MaxSlots = 1024

// Node is one life of a node.
type Node struct {
	Name     string `json:"name"`
	Instance string `json:"instance"`
	BaseURL  string `json:"base_url,omitempty"`
	Version  string `json:"version,omitempty"`
	// Alive is whether its heartbeat changes.
	Alive bool `json:"alive"`
	// Drained is whether nodes of this name take no work.
	Drained bool `json:"drained"`
	Slots   int  `json:"slots"`
	// Running is how many jobs it runs now.
	Running  int      `json:"running"`
	Programs []string `json:"programs"`
	// Installed are the same with their hashes.
	Installed []Installed `json:"installed,omitempty"`
	// Settings are those that all nodes of a pool should have alike, by name. Keys are
	// there by their fingerprints.
	Settings map[string]string `json:"settings,omitempty"`
	// Vitals are its last measurements; nil if there are none.
	Vitals *Vitals `json:"vitals,omitempty"`
	// Control is what persons have set.
	Control Control   `json:"control"`
	Started time.Time `json:"started"`
	Beat    time.Time `json:"beat,omitzero"` // its newest heartbeat, on its own clock
	Left    time.Time `json:"left,omitzero"` // when it ended in good order
	// Seen is when the node that answers saw its heartbeat change last, and Lapses
	// when it counts as dead unless that changes before, both on the clock of the
	// node that answers. Zero where it has left.
	Seen   time.Time `json:"seen,omitzero"`
	Lapses time.Time `json:"lapses,omitzero"`
}

// Vitals are the measurements of a node's machine.
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
	// Trouble is there while the node fails jobs by a fault of its own; else nil.
	Trouble *Trouble `json:"trouble,omitempty"`
	// MaxSlots is how many slots the limits of its process hold; 0 where it is not known,
	// or no fewer than api.MaxSlots.
	MaxSlots int `json:"max_slots,omitempty"`
	// LogDropped is how many lines of its log the node has dropped since its start; 0
	// where the last one was dropped more than five minutes ago.
	LogDropped int64 `json:"log_dropped,omitempty"`
	// Warm are the processes of stream programs, at most 256.
	Warm []WarmProcess `json:"warm,omitempty"`
}

// WarmProcess is a process of a stream program. It runs one job after another.
type WarmProcess struct {
	Program string    `json:"program"`
	PID     int       `json:"pid"`
	Started time.Time `json:"started"` // on the node's own clock
	Jobs    int       `json:"jobs"`    // that it has ended
	// Job is the job that it runs; empty while it waits for one.
	Job    string `json:"job,omitempty"`
	Memory int64  `json:"memory_bytes"` // of it and its descendants; 0 where it is not known
}

// Trouble is the state of a node that has failed several jobs in a row by a fault of its
// own. It tries one job now and then until one runs.
type Trouble struct {
	Reason string    `json:"reason"` // of the last fault
	Since  time.Time `json:"since"`  // on the node's own clock
	Faults int       `json:"faults"` // in a row
}

// Quarantine is a job that was lost with its nodes, and therefore runs alone.
type Quarantine struct {
	Job string `json:"job"`
	// Running is false while the node waits for its other jobs to end.
	Running bool `json:"running"`
}

// Disk is a file system that a node writes to.
type Disk struct {
	Path  string `json:"path"`
	Use   string `json:"use"` // one or more of data, ledger, store, scratch and programs
	Total int64  `json:"total_bytes"`
	Free  int64  `json:"free_bytes"` // for this user
	// Reusable is the room inside the ledger's file, where it is on this file system. New
	// jobs use it before the file grows.
	Reusable int64 `json:"reusable_bytes,omitempty"`
	// Floor is below what room no work is taken: half of it must be free.
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
	// Weight is how many jobs it starts in its turn, beside other programs.
	Weight int `json:"weight"`
	// Checkpoint is whether it saves a checkpoint on request.
	Checkpoint bool `json:"checkpoint,omitempty"`
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
