package pages

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/auth"
)

// frame is the header and the footer of a page of the dashboard. The view of a page
// embeds it. The template of a page begins with {{template "top" .}} and ends with
// {{template "foot" .}}. live.js keeps the elements up to date that have an id and
// the attribute data-live.
type frame struct {
	Root  string // path under which the pages are
	Title string
	Node  string // name of the node that answers
	Nav   []navLink
	// Still keeps live.js from loading the page again, because it answers a form.
	Still bool
	// Verdict is the sentence about the health of the pool.
	Verdict verdictView
	// Who is the name of the signed-in person; empty without tokens.
	Who string
	// CanAct reports whether this person may change something.
	CanAct bool
	// ReadOnly is the reason why all changes are refused; empty if they are allowed.
	ReadOnly string
}

type navLink struct {
	Path, Text string
	Here       bool
}

type verdictView struct {
	Tone, Text, Path string
}

// navigation lists the pages in the order of the header.
var navigation = []struct{ here, path, text string }{
	{"overview", "/", "Overview"},
	{"jobs", "/jobs", "Jobs"},
	{"nodes", "/nodes", "Nodes"},
	{"programs", "/programs", "Programs"},
	{"events", "/events", "Events"},
}

// frame returns the frame of a page. here is its entry in the navigation.
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

// verdictOf returns the view of a verdict, with a link to the page of its first
// finding.
func verdictOf(v api.Verdict, root string) verdictView {
	view := verdictView{Tone: levelTone(v.Level), Text: text.Line(v.Text, 200)}
	if len(v.Findings) > 0 && v.Findings[0].Path != "" {
		view.Path = text.Link(root + v.Findings[0].Path)
	}
	return view
}

// levelTone returns the CSS class for a level.
func levelTone(l api.Level) string {
	switch l {
	case api.LevelOK:
		return "ok"
	case api.LevelWarn:
		return "warn"
	}
	return "bad"
}
