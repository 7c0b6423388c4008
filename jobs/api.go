package jobs

import (
	"fmt"
	"time"
)

// Page is the answer to GET /api/v1/jobs, newest first.
type Page struct {
	Jobs []Result `json:"jobs"`
	// Next is the cursor of the next page; empty on the last.
	Next string `json:"next,omitempty"`
}

// Details is the answer to GET /api/v1/jobs/<id>.
type Details struct {
	Job      Job       `json:"job"`
	Status   Result    `json:"status"`
	Attempts []Attempt `json:"attempts"`
	Events   []Event   `json:"events"`
}

// Attempt is one run of a job.
type Attempt struct {
	Number        int       `json:"number"`
	Node          string    `json:"node"`
	ProgramSHA256 string    `json:"program_sha256,omitempty"`
	Started       time.Time `json:"started"`
	Finished      time.Time `json:"finished,omitzero"`
	// Outcome is empty while the attempt runs.
	Outcome  Outcome `json:"outcome,omitempty"`
	Message  string  `json:"message,omitempty"`
	ExitCode *int    `json:"exit_code,omitempty"`
	Signal   string  `json:"signal,omitempty"`
	// CPUSeconds is user and system time together.
	CPUSeconds float64 `json:"cpu_seconds,omitzero"`
	MaxRSS     int64   `json:"max_rss_bytes,omitzero"`
}

// Event is one thing that the machine or a person did to a job.
type Event struct {
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"`
	Node    string    `json:"node,omitempty"`
	Message string    `json:"message"`
}

// Problem is an error answer, application/problem+json (RFC 9457).
type Problem struct {
	Type     string `json:"type,omitempty"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Pointer is the JSON pointer of the fault in the document that was sent.
	Pointer string `json:"pointer,omitempty"`
}

func (p *Problem) Error() string {
	s := fmt.Sprintf("%d %s", p.Status, p.Title)
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	if p.Pointer != "" {
		s += " (at " + p.Pointer + ")"
	}
	return s
}
