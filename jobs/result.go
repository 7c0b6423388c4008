package jobs

import (
	"encoding/json"
	"fmt"
	"time"
)

// Result is the answer of a result URL: the final result or, before the job has
// ended, its state. Timestamp is always set.
type Result struct {
	ID      string `json:"id"`
	Program string `json:"program"`
	State   State  `json:"state"`
	// Timestamp is when this document was made.
	Timestamp time.Time `json:"timestamp"`
	Created   time.Time `json:"created,omitzero"`
	Started   time.Time `json:"started,omitzero"`
	Finished  time.Time `json:"finished,omitzero"`
	// Attempt is the number of the newest attempt, from 1; zero before the first.
	Attempt int    `json:"attempt,omitzero"`
	Node    string `json:"node,omitempty"`

	// Position is how many queued jobs of the program come before this one; nil if
	// that is not known.
	Position *int `json:"position,omitempty"`
	// NotBefore is when a queued job may start at the earliest.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Reason says in words what the job is waiting for.
	Reason string `json:"reason,omitempty"`
	// Progress is between 0 and 1, as the program reported it last.
	Progress *float64           `json:"progress,omitempty"`
	Message  string             `json:"message,omitempty"`
	Counters map[string]float64 `json:"counters,omitempty"`
	// Chunk is the part of a larger work that a running program works on, as it says.
	Chunk *Chunk `json:"chunk,omitempty"`
	// Partial is the newest partial result of a running program.
	Partial json.RawMessage `json:"partial,omitzero"`

	Provenance *Provenance `json:"provenance,omitempty"`
	// Result is the program's own output.
	Result    json.RawMessage `json:"result,omitzero"`
	Artifacts []Artifact      `json:"artifacts,omitempty"`
	LeftOut   []LeftOut       `json:"left_out,omitempty"`
	Error     *Error          `json:"error,omitempty"`
}

// Decode decodes the result of a job that has succeeded into v, as encoding/json does. Otherwise
// the error is [ErrNotSucceeded] and, if the job failed or was cancelled, an [*Error] too.
// A partial result is not decoded.
func (r Result) Decode(v any) error {
	switch {
	case r.State != Succeeded && r.Error != nil:
		return fmt.Errorf("jobs: job %s %w: %w", r.ID, ErrNotSucceeded, r.Error)
	case r.State != Succeeded:
		return fmt.Errorf("jobs: job %s %w: it is %s", r.ID, ErrNotSucceeded, r.State)
	}
	if err := json.Unmarshal(r.Result, v); err != nil {
		return fmt.Errorf("jobs: result of job %s: %w", r.ID, err)
	}
	return nil
}

// Chunk is a part of a larger work.
type Chunk struct {
	ID string `json:"id"`
	// Of says of how many, or of what; empty if the program has not said so.
	Of string `json:"of,omitempty"`
}

// Provenance says what a result was made from.
type Provenance struct {
	ProgramSHA256 string   `json:"program_sha256,omitempty"`
	Inputs        []Source `json:"inputs,omitempty"`
}

// Source is one input as it was fetched.
type Source struct {
	Name         string    `json:"name,omitempty"`
	URL          string    `json:"url,omitempty"`
	SHA256       string    `json:"sha256"`
	Size         int64     `json:"size"`
	LastModified time.Time `json:"last_modified,omitzero"`
}

// Artifact is a file that the program left in out/. Its name has the folders
// that it is in, such as "plots/week.png".
type Artifact struct {
	Name   string `json:"name"`
	URL    string `json:"url"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// LeftOut is something in out/ that is not kept. If there are more than are listed,
// the last one has no name and gives their number.
type LeftOut struct {
	Name   string `json:"name,omitempty"`
	Reason string `json:"reason"`
}

// Error says why a job did not succeed. It is an error, see [Result.Decode].
type Error struct {
	Class   Outcome `json:"class"`
	Message string  `json:"message"`
	// Pointer is the JSON pointer (RFC 6901) of the fault in the job document,
	// the input or the result, where there is one.
	Pointer string `json:"pointer,omitempty"`
	// LogTail is the end of the program's standard error.
	LogTail string `json:"log_tail,omitempty"`
}

// Error returns the class and the message, and the pointer if there is one.
func (e *Error) Error() string {
	s := string(e.Class) + ": " + e.Message
	if e.Pointer != "" {
		s += " (at " + e.Pointer + ")"
	}
	return s
}
