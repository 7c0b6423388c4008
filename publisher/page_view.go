package publisher

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/chart"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/jsonvalue"
)

const (
	maxMessageRunes = 2000
	maxRows         = 200 // of artifacts, inputs and counters
	maxFigures      = 32
	maxFigureDepth  = 3
	maxShortList    = 4
)

// asShown asks for a log as a terminal shows it.
const asShown = "rendered=true"

// fact is one line of what is known about a job.
type fact struct {
	Name string
	text.Piece
	Code bool
}

// Long reports whether a figure needs more than the usual room.
func (f fact) Long() bool {
	return utf8.RuneCountInString(f.Text) > 14 || utf8.RuneCountInString(f.Name) > 24
}

// fileView is an artifact or an input. URL is empty where it is no link.
type fileView struct {
	Name, URL, Size, SHA256, Note string
}

// jobView is the page about one job with all words chosen: the template only
// places them.
type jobView struct {
	Root, Title, ID, Program string
	State                    jobs.State
	Tone                     string
	Pending, Running         bool
	Verdict                  []text.Piece
	Percent, Left            string
	Value                    string // of the progress bar; empty where unknown
	Message                  string

	Because, Fault, Pointer string

	outputView

	Log, LogURL string
	// LogLink is the whole log as a terminal shows it, for people.
	LogLink  string
	Facts    []fact
	Files    []fileView
	NotKept  string // of the files
	Inputs   []fileView
	Attempts []attemptView
	Earlier  string // attempts that are not listed
	JSON     string
	JSONCut  bool
	JSONURL  string
	Refresh  int // seconds, for readers without scripts
}

func newJobView(d pageData) *jobView {
	r := d.Result
	v := &jobView{
		Root: httpio.BasePath(d.BaseURL), ID: text.Line(r.ID, text.NameLimit), Program: text.Line(r.Program, text.NameLimit),
		State: r.State, Tone: tone(r.State), Pending: !r.State.Final(), Running: r.State == jobs.Running,
		Verdict: verdict(r), Left: left(r), LogURL: text.Link(d.LogURL), LogLink: httpio.AddQuery(text.Link(d.LogURL), asShown), JSONURL: text.Link(d.JSONURL),
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
	v.attempts(d)
	v.Facts, v.Files, v.Inputs = facts(r), artifacts(r.Artifacts, d.FilesURL, d.Query), inputs(r)
	v.NotKept = notKept(r.LeftOut)
	v.JSON, v.JSONCut = jsonvalue.Pretty(d.ResultJSON, maxJSONShown)
	v.Title = fmt.Sprintf("%s: %s", v.Program, text.Line(string(r.State), text.NameLimit))
	if v.Percent != "" {
		v.Title += " " + v.Percent
	}
	return v
}

func (v *jobView) progress(r jobs.Result) {
	if v.Pending {
		v.Refresh = 5
		v.Message = text.Lines(r.Message, maxMessageRunes)
	}
	if p := r.Progress; v.Running && p != nil && *p >= 0 && *p <= 1 {
		v.Value = strconv.FormatFloat(*p, 'f', 4, 64)
		v.Percent = fmt.Sprintf("%.0f %%", *p*100)
	}
}

// reason says why a job waits, or why it ended as it did.
func (v *jobView) reason(r jobs.Result) {
	if v.Pending && v.Message == "" {
		v.Message = text.Lines(r.Reason, maxMessageRunes)
	}
	if r.Error == nil || r.State == jobs.Succeeded {
		return
	}
	v.Because = because(r.Error.Class)
	if v.Pending {
		v.Because = "The attempt before: " + strings.ToLower(v.Because[:1]) + v.Because[1:]
	}
	v.Fault = text.Lines(r.Error.Message, maxMessageRunes)
	v.Pointer = text.Line(r.Error.Pointer, maxMessageRunes)
}

func (v *jobView) log(d pageData) {
	v.Log = logText(d.LogTail)
	if v.Log == "" && d.Result.Error != nil {
		v.Log = logText([]byte(d.Result.Error.LogTail))
	}
}

// madeAt is the fact that says when the page was made.
const madeAt = "This answer"

// facts lists the plain data of a job in the order of its way.
func facts(r jobs.Result) []fact {
	var list []fact
	moment := func(name string, t time.Time) {
		if !t.IsZero() {
			list = append(list, fact{Name: name, Piece: text.Moment(t)})
		}
	}
	moment("Created", r.Created)
	moment("Started", r.Started)
	moment("Finished", r.Finished)
	if took, ok := duration(r); ok {
		list = append(list, fact{Name: "Took", Piece: text.Words("%s", text.Duration(took))})
	}
	if r.Attempt > 0 {
		list = append(list, fact{Name: "Attempt", Piece: text.Words("%d", r.Attempt)})
	}
	if r.Node != "" {
		list = append(list, fact{Name: "Node", Piece: text.Piece{Text: text.Line(r.Node, text.NameLimit)}})
	}
	if p := r.Provenance; p != nil && p.ProgramSHA256 != "" {
		list = append(list, fact{Name: "Program SHA-256", Piece: text.Piece{Text: text.Line(p.ProgramSHA256, 64)}, Code: true})
	}
	moment(madeAt, r.Timestamp)
	return list
}

// artifacts lists the files. Those of this node are asked for below the page's
// own address, so that a signed one opens them too.
func artifacts(files []jobs.Artifact, base, query string) []fileView {
	var list []fileView
	for _, a := range files[:min(len(files), maxRows)] {
		to := a.URL
		if base != "" {
			to = httpio.AddQuery(base+escapePath(a.Name), query)
		}
		list = append(list, fileView{Name: text.Line(a.Name, 200), URL: text.Link(to), Size: text.Bytes(a.Size), SHA256: text.Line(a.SHA256, 64)})
	}
	return list
}

func inputs(r jobs.Result) []fileView {
	if r.Provenance == nil {
		return nil
	}
	var list []fileView
	all := r.Provenance.Inputs
	for _, s := range all[:min(len(all), maxRows)] {
		f := fileView{Name: text.Line(s.Name, 200), URL: text.Link(s.URL), Size: text.Bytes(s.Size), SHA256: text.Line(s.SHA256, 64)}
		if f.Name == "" {
			f.Name = "input"
		}
		f.Note = text.Line(s.URL, 200)
		list = append(list, f)
	}
	return list
}

func counters(m map[string]float64) []fact {
	var list []fact
	for _, name := range sortedKeys(m) {
		if len(list) == maxRows {
			break
		}
		list = append(list, fact{Name: text.Line(name, text.NameLimit), Piece: text.Piece{Text: text.Number(m[name])}})
	}
	return list
}

// figureList collects the single values in a result, without those of its
// plots. What lies deeper is named with the member that holds it.
type figureList struct {
	facts []fact
	rest  bool // something is left that is neither here nor in a plot
}

func figures(value []byte) figureList {
	l := figureList{}
	if top := jsonvalue.Members(value); len(top) > 0 && len(value) <= chart.MaxSource {
		l.add("", top, 0)
	} else {
		l.rest = true
	}
	return l
}

func (l *figureList) add(holder string, all []jsonvalue.Member, depth int) {
	if chart.IsSeries(all) {
		return
	}
	for _, m := range all {
		name := strings.ReplaceAll(text.Line(m.Name, text.NameLimit), "_", " ")
		inner, scalar := jsonvalue.Members(m.Value), single(m.Value)
		switch {
		case len(inner) > 0 && depth < maxFigureDepth:
			l.add(name, inner, depth+1)
		case scalar != "" && len(l.facts) < maxFigures:
			if holder != "" {
				name = holder + " · " + name
			}
			l.facts = append(l.facts, fact{Name: name, Piece: text.Piece{Text: scalar}})
		default:
			l.rest = true
		}
	}
}

// single writes a scalar, or an array of a few.
func single(raw []byte) string {
	if v, ok := jsonvalue.Number(raw); ok {
		return text.Number(v)
	}
	if s := jsonvalue.String(raw); s != "" {
		return text.Line(s, 200)
	}
	if s := string(raw); s == "true" || s == "false" {
		return s
	}
	list, _ := jsonvalue.Elements(raw)
	if len(list) > maxShortList {
		return ""
	}
	parts := make([]string, len(list))
	for i, e := range list {
		if parts[i] = single(e); parts[i] == "" {
			return ""
		}
	}
	return strings.Join(parts, ", ")
}

const maxJSONShown = 64 << 10 // bytes of a document that a page shows

const maxOutputShown = 16 << 10 // bytes of a result that a page shows by itself

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
