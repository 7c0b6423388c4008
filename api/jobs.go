package api

import (
	"time"

	"github.com/runnerbean/runnerbean/jobs"
)

// Page is the answer to GET /api/v1/jobs, newest first.
type Page struct {
	Jobs []jobs.Result `json:"jobs"`
	// Next is the cursor of the next page; empty on the last.
	Next string `json:"next,omitempty"`
	// Back is how far back in time this page has looked, where that is not
	// plain from its jobs; one call looks at a bounded number of jobs.
	Back time.Time `json:"back,omitzero"`
}

// Details is the answer to GET /api/v1/jobs/<id>.
type Details struct {
	jobs.Details
	Attempts []Attempt `json:"attempts"`
	// Chunks are the parts of a larger work that the program has said that it works on,
	// the newest first. Only the newest are kept.
	Chunks []Chunk `json:"chunks,omitempty"`
	Events []Event `json:"events"`
	// Processes that run for it now.
	Processes []Process `json:"processes,omitempty"`
	// Delivery is that of the final document to result.url, where no node serves it.
	Delivery *Delivery `json:"delivery,omitempty"`
	// Checkpoints are those that are kept, the newest first.
	Checkpoints []Checkpoint `json:"checkpoints,omitempty"`
	// CheckpointAsked is what a person asks of the running program, until it has an answer.
	CheckpointAsked *CheckpointAsked `json:"checkpoint_asked,omitempty"`
	// Loop is the loop of a job that repeats.
	Loop *Loop `json:"loop,omitempty"`
}

// Checkpoint is what a program has saved, so that the next attempt goes on from there.
type Checkpoint struct {
	// Number grows with each checkpoint of the job. Attempt has made it.
	Number  int       `json:"number"`
	Attempt int       `json:"attempt"`
	At      time.Time `json:"at"`
	// Bytes is the size of the packed files, and SHA256 their digest.
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Restored is the last attempt that has begun from it.
	Restored int `json:"restored,omitzero"`
	// Broken says why an attempt could not begin from it.
	Broken string `json:"broken,omitempty"`
}

// CheckpointAsked is a request for a checkpoint.
type CheckpointAsked struct {
	At time.Time `json:"at"`
	By string    `json:"by,omitempty"`
}

// Chunk is a part of a larger work, with the attempts that worked on it.
type Chunk struct {
	ID string `json:"id"`
	// Of says of how many, or of what; empty if the program has not said so.
	Of string `json:"of,omitempty"`
	// Attempts are their numbers, in order.
	Attempts []int `json:"attempts"`
	// Began is when the newest of them began it.
	Began time.Time `json:"began"`
}

// Loop is a loop, and the place of a job in it. The result of the newest success is at the result
// URL of the job and "/latest".
type Loop struct {
	// ID is that of the loop and of its first job.
	ID string `json:"id"`
	// Run is the number of the job, and Runs that of the newest one. The first has 1.
	Run  int `json:"run"`
	Runs int `json:"runs"`
	// Newest is the id of the newest job, and State its state. Latest is the id of the newest
	// success.
	Newest string     `json:"newest"`
	State  jobs.State `json:"state,omitempty"`
	Latest string     `json:"latest,omitempty"`
	// Previous and Next are the ids of the jobs before and after this one.
	Previous string `json:"previous,omitempty"`
	Next     string `json:"next,omitempty"`
	// NextAt is when the newest job starts, while it waits for that.
	NextAt time.Time `json:"next_at,omitzero"`
	// Ended is when a person ended the loop for good, and EndedBy who.
	Ended   time.Time `json:"ended,omitzero"`
	EndedBy string    `json:"ended_by,omitempty"`
}

// DeliveryState is the state of a delivery.
type DeliveryState string

const (
	DeliveryPending DeliveryState = "pending"
	DeliveryDone    DeliveryState = "delivered"
	DeliveryGivenUp DeliveryState = "given_up"
)

// Delivery is the state of the PUT of a job's final document to the result.url of its
// document. The job's state does not depend on it.
type Delivery struct {
	State DeliveryState `json:"state"`
	// URL is without its query.
	URL string `json:"url"`
	// At is when it was delivered or given up, Next when a pending one is tried next.
	At   time.Time `json:"at,omitzero"`
	Next time.Time `json:"next,omitzero"`
	// Tries is how many have failed, Message what went wrong with the last of them.
	Tries   int    `json:"tries,omitzero"`
	Message string `json:"message,omitempty"`
}

// Attempt is one run of a job.
type Attempt struct {
	Number        int       `json:"number"`
	Node          string    `json:"node"`
	ProgramSHA256 string    `json:"program_sha256,omitempty"`
	Started       time.Time `json:"started"`
	Finished      time.Time `json:"finished,omitzero"`
	// Outcome is empty while the attempt runs.
	Outcome  jobs.Outcome `json:"outcome,omitempty"`
	Message  string       `json:"message,omitempty"`
	ExitCode *int         `json:"exit_code,omitempty"`
	Signal   string       `json:"signal,omitempty"`
	// CPUSeconds is user and system time together.
	CPUSeconds float64 `json:"cpu_seconds,omitzero"`
	MaxRSS     int64   `json:"max_rss_bytes,omitzero"`
	// Counters are the last values that its program has reported.
	Counters map[string]float64 `json:"counters,omitempty"`
	// Quarantine is whether nothing ran beside it on its node, because the job had
	// been lost with its nodes before.
	Quarantine bool `json:"quarantine,omitzero"`
	// Artifacts are the files that it left without a success, kept of the newest
	// attempts, and LeftOut what is not kept of them.
	Artifacts []jobs.Artifact `json:"artifacts,omitempty"`
	LeftOut   []jobs.LeftOut  `json:"left_out,omitempty"`
}

// Selection is the body of POST /api/v1/jobs/<verb>: the jobs that are meant.
// At least one of Program, State, Node and Label is set, or All alone.
type Selection struct {
	Program string     `json:"program,omitempty"`
	State   jobs.State `json:"state,omitempty"`
	Node    string     `json:"node,omitempty"`
	Label   string     `json:"label,omitempty"` // key=value
	// Since and Until bound when the job was accepted; Text is looked for in id,
	// labels and messages.
	Since time.Time `json:"since,omitzero"`
	Until time.Time `json:"until,omitzero"`
	// EndedBefore selects jobs that have ended before a time.
	EndedBefore time.Time `json:"ended_before,omitzero"`
	Text        string    `json:"text,omitempty"`
	// IDs, alone, names the jobs; at most 1000.
	IDs []string `json:"ids,omitempty"`
	All bool     `json:"all,omitempty"`
	// Cursor is Next of the answer before; empty at first.
	Cursor string `json:"cursor,omitempty"`
	// Limit is how many jobs one call takes at most. Default 256, at most 1000.
	Limit int `json:"limit,omitempty"`
	// WithDependents makes a retry go on with the jobs that failed only because they need
	// one of these, and with those that need them. A job that runs or has succeeded stays
	// as it is then.
	WithDependents bool `json:"with_dependents,omitempty"`
	// DryRun only counts.
	DryRun bool `json:"dry_run,omitempty"`
	// MissingResult, for retry, selects the successes whose results are missing from the
	// store, and no others.
	MissingResult bool `json:"missing_result,omitempty"`
}

// Selected is the answer to a [Selection]: what one call has done.
type Selected struct {
	// Matched is how many jobs were found, Done how many of them the verb was
	// applied to.
	Matched int `json:"matched"`
	Done    int `json:"done"`
	// Failed names at most 20 of the others.
	Failed []Refusal `json:"failed"`
	// Next is the cursor of the next call; empty after the last.
	Next string `json:"next"`
	// Stopped says why the call ended before it had done all that it found;
	// empty where it did not.
	Stopped string `json:"stopped,omitempty"`
	// Dependents is there if they were asked for.
	Dependents *Dependents `json:"dependents,omitempty"`
	// Bytes is the size of what a delete with DryRun would remove from the store, of the
	// Measured jobs among those that matched.
	Bytes    int64 `json:"bytes,omitempty"`
	Measured int   `json:"measured,omitempty"`
}

// Dependents is what became of the jobs that need the retried ones.
type Dependents struct {
	// Retried is how many of them are queued or waiting again.
	Retried int `json:"retried"`
	// LeftCount is how many stay failed or cancelled, and Left names at most 20 of them.
	LeftCount int       `json:"left_count"`
	Left      []Refusal `json:"left"`
	// Pending says that the nodes are still at it.
	Pending bool `json:"pending,omitempty"`
}

// Refusal says why a verb could not be applied to a job.
type Refusal struct {
	ID     string `json:"id"`
	Detail string `json:"detail"`
}
