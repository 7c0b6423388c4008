package pages

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// frame is what stands around every page of the dashboard. A page's view embeds
// it, and its template begins with {{template "top" .}} and ends with
// {{template "foot" .}}; what is between lies in the element main. An element of
// it with an id and the attribute data-live is kept up to date by live.js.
type frame struct {
	Root  string // of the node's paths
	Title string
	Node  string // that answers
	Nav   []navLink
	// Still is where the page answers to something that was sent: asking for it
	// again would be another request.
	Still bool
	// Verdict is the one sentence about the whole pool.
	Verdict verdictView
	// Who is the name of the person who has signed in; empty where nobody has to.
	Who string
	// CanAct is whether this person may change something.
	CanAct bool
	// ReadOnly says why nobody may; empty where that is not so.
	ReadOnly string
}

type navLink struct {
	Path, Text string
	Here       bool
}

type verdictView struct {
	Tone, Text, Path string
}

// navigation lists the pages in the order of the header; the first word is what
// a page names itself by.
var navigation = []struct{ here, path, text string }{
	{"overview", "/", "Overview"},
	{"jobs", "/jobs", "Jobs"},
	{"nodes", "/nodes", "Nodes"},
	{"programs", "/programs", "Programs"},
	{"events", "/events", "Events"},
}

// frame builds the frame of a page: here is its place in the navigation.
func (p *Pages) frame(c echo.Context, here, title string) frame {
	verdict, err := p.cfg.Verdict(c.Request().Context())
	if err != nil {
		verdict = api.Verdict{Level: api.LevelBad, Text: "The ledger cannot be read."}
	}
	f := frame{
		Root: p.root, Title: title, Node: p.node, CanAct: p.cfg.Auth.CanAct(c),
		Still: c.Request().Method != http.MethodGet, Who: auth.CallerOf(c).Name, ReadOnly: p.cfg.ReadOnly, Verdict: verdictOf(verdict, p.root),
	}
	for _, n := range navigation {
		f.Nav = append(f.Nav, navLink{Path: p.root + n.path, Text: n.text, Here: n.here == here})
	}
	return f
}

// verdictOf chooses the look of a verdict. It leads to the page of its first
// finding.
func verdictOf(v api.Verdict, root string) verdictView {
	view := verdictView{Tone: levelTone(v.Level), Text: text.Line(v.Text, 200)}
	if len(v.Findings) > 0 && v.Findings[0].Path != "" {
		view.Path = text.Link(root + v.Findings[0].Path)
	}
	return view
}

// levelTone is how a level looks.
func levelTone(l api.Level) string {
	switch l {
	case api.LevelOK:
		return "ok"
	case api.LevelWarn:
		return "warn"
	}
	return "bad"
}
