package publisher

import (
	"embed"
	"fmt"
	"io"

	"github.com/runnerbean/runnerbean/jobs"
)

//go:embed assets
var assets embed.FS

// pageData is what a person's page about one job is made from.
type pageData struct {
	Result     jobs.Result
	ResultJSON []byte // the document as published
	LogTail    []byte // the end of the newest attempt's log, as it was written
	// LogURL, EventsURL and JSONURL are links of the page; BaseURL is the node's.
	LogURL, EventsURL, JSONURL, BaseURL string
	Nonce                               string // unused: no inline script or style
}

// jobsData is what the list of jobs is made from.
type jobsData struct {
	Jobs   []jobs.Result
	Next   string // cursor of the next page; empty on the last
	Counts map[jobs.State]int
	Node   string
}

func renderPage(w io.Writer, d pageData) error {
	_, err := fmt.Fprintln(w, d.Result.State)
	return err
}

func renderJobs(w io.Writer, d jobsData) error {
	_, err := fmt.Fprintln(w, len(d.Jobs))
	return err
}
