// Package jobview chooses the words and links that pages show about one job. The
// templates only place them.
package jobview

import (
	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

const (
	// MessageLimit is how many runes of a message a page shows.
	MessageLimit = 2000
	// MaxRows is how many files, inputs or counters a page lists.
	MaxRows = 200
	// MaxJSON is how many bytes of a document a page shows.
	MaxJSON = 64 << 10
)

// Data is what the view of a job is made from.
type Data struct {
	Result     jobs.Result
	ResultJSON []byte // the document as published
	LogTail    []byte // the end of the newest attempt's log, as it was written
	Attempts   []api.Attempt
	// Root is the path under which the routes of the node are.
	Root string
	// LogURL, EventsURL and JSONURL are links of the page; the page leaves out
	// those that are empty.
	LogURL, EventsURL, JSONURL string
	// FilesURL is the path above the files, and TarURL all of them. Query is the signature that opens them.
	FilesURL, TarURL, Query string
	// Large is the size in bytes of a result that is too large for the page; 0 for
	// others.
	Large int64
}

// SetLinks sets the links to what lies below the address of a result. query is the
// signature of the address, or "".
func (d *Data) SetLinks(path, query string) {
	d.LogURL, d.EventsURL = httpio.AddQuery(path+"/log", query), httpio.AddQuery(path+"/events", query)
	d.JSONURL, d.FilesURL, d.Query = httpio.AddQuery(path+"?format=json", query), path+"/files/", query
	d.TarURL = httpio.AddQuery(path+"/files.tar", query)
}
