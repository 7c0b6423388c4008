package jobview

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

// Job is the view of one job.
type Job struct {
	Root, Title, ID, Program string
	State                    jobs.State
	Tone                     string
	Pending, Running         bool
	Verdict                  []text.Piece
	Percent, Left            string
	Value                    string // of the progress bar; empty where unknown
	Message                  string

	Because, Fault, Pointer string

	Output

	Log, LogURL string
	// LogLink is the address of the whole log as a terminal shows it.
	LogLink  string
	Facts    []Fact
	Files    []File
	NotKept  string // which files were not kept
	Inputs   []File
	Attempts []Attempt
	Earlier  string // says how many attempts are not listed
	JSON     string
	JSONCut  bool
	JSONURL  string
	TarURL   string // of all files; empty for fewer than two
	Refresh  int    // seconds until the page loads again without scripts
}

// New returns the view of a job.
func New(d Data) *Job {
	r := d.Result
	v := &Job{
		Root: d.Root, ID: text.Line(r.ID, text.NameLimit), Program: text.Line(r.Program, text.NameLimit),
		State: r.State, Tone: StateTone(r.State), Pending: !r.State.Final(), Running: r.State == jobs.Running,
		Verdict: verdict(r), Left: TimeLeft(r), LogURL: text.Link(d.LogURL), LogLink: httpio.AddQuery(text.Link(d.LogURL), asShown), JSONURL: text.Link(d.JSONURL),
	}
	if v.Program == "" {
		v.Program = "Job"
	}
	v.progress(r)
	v.reason(r)
	v.output(r)
	v.images(r, d.FilesURL, d.Query)
	if d.Large > 0 {
		v.TooBig = "The result has " + text.Bytes(d.Large) + " and is too large for this page."
	}
	v.log(d)
	shown, earlier := NewestAttempts(d.Attempts)
	for _, a := range shown {
		v.Attempts = append(v.Attempts, NewAttempt(a, d))
	}
	v.Earlier = earlier
	v.Facts, v.Files, v.Inputs = facts(r), artifacts(r.Artifacts, d.FilesURL, d.Query), inputs(r)
	if len(r.Artifacts) > 1 {
		v.TarURL = text.Link(d.TarURL)
	}
	v.NotKept = notKept(r.LeftOut)
	v.JSON, v.JSONCut = jsonvalue.Pretty(d.ResultJSON, MaxJSON)
	v.Title = fmt.Sprintf("%s: %s", v.Program, text.Line(string(r.State), text.NameLimit))
	if v.Percent != "" {
		v.Title += " " + v.Percent
	}
	return v
}

func (v *Job) progress(r jobs.Result) {
	if v.Pending {
		v.Refresh = 5
		v.Message = text.Lines(r.Message, MessageLimit)
	}
	if p := r.Progress; v.Running && p != nil && *p >= 0 && *p <= 1 {
		v.Value = strconv.FormatFloat(*p, 'f', 4, 64)
		v.Percent = fmt.Sprintf("%.0f %%", *p*100)
	}
}

// reason sets why a job waits, or why it did not succeed.
func (v *Job) reason(r jobs.Result) {
	if v.Pending && v.Message == "" {
		v.Message = text.Lines(r.Reason, MessageLimit)
	}
	if r.Error == nil || r.State == jobs.Succeeded {
		return
	}
	v.Because = ErrorWords(r.Error.Class)
	if v.Pending {
		v.Because = "The attempt before: " + strings.ToLower(v.Because[:1]) + v.Because[1:]
	}
	v.Fault = text.Lines(r.Error.Message, MessageLimit)
	v.Pointer = text.Line(r.Error.Pointer, MessageLimit)
}

func (v *Job) log(d Data) {
	v.Log = logText(d.LogTail)
	if v.Log == "" && d.Result.Error != nil {
		v.Log = logText([]byte(d.Result.Error.LogTail))
	}
}
