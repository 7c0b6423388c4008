package frames

import (
	"html/template"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// View is the part of a page about the frames of a batch.
type View struct {
	Ended  string // how many frames have ended
	Bar    template.HTML
	States []StateLink
	Facts  []jobview.Fact
	Tar    string // link to the files of all frames; empty before the batch has ended
	Bundle string // link to the job that makes the bundle; empty if there is none
	Orders []Link // by number, by time
	// Shown says which frames are listed, unless all are. Neighbours lead to those before and
	// after them.
	Shown, All string
	Neighbours []Link
	Cells      []Cell
	Class      string // of the cells
	Rows       []Row
	Empty      string // says why nothing is listed
}

// Link is a link of which the page may be the end.
type Link struct {
	Text, Path string
	Here       bool
}

// StateLink counts the frames in a state, and lists them.
type StateLink struct {
	Link
	Class, Count string
}

// Cell is a frame, or neighbouring frames.
type Cell struct {
	URL, Class, Text string
	Label            string // says what the cell is
	Image            string // address of an image in place of the cell; may be empty
}

// Row is a frame with its run time.
type Row struct {
	URL, Frame, State, Class, Took string
	Started                        text.Piece
}

// shownStates are the states in the order of the bar and of the counts.
var shownStates = []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Cancelled, jobs.Running, jobs.Queued, jobs.Waiting}

// class returns the CSS class of a state of a frame.
func class(state jobs.State) string { return "is-" + string(state) }
