package pages

import (
	"context"
	"fmt"
	"net/url"

	"github.com/labstack/echo/v4"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// programsView is the list of programs.
type programsView struct {
	frame
	Rows []programRow
}

type programRow struct {
	Name, Path, Description string
	Nodes, NodesTone        string
	Version, SHA256         string
	Ended                   string // in 24 hours
	Success, SuccessTone    string
	Weight, Queued, Running string
}

// ProgramList lists the programs.
func (p *Pages) ProgramList(c echo.Context) error {
	f := p.frame(c, "programs", "Programs")
	return p.sendShared(c, "program_list.html", func(ctx context.Context) (any, error) {
		list, err := p.cfg.Programs(ctx)
		v := programsView{frame: f}
		for _, program := range list.Programs {
			v.Rows = append(v.Rows, newProgramRow(f.Root, program))
		}
		return v, err
	})
}

func newProgramRow(root string, p api.Program) programRow {
	r := programRow{
		Name: text.Line(p.Name, text.NameLimit), Path: text.Link(root + "/programs/" + url.PathEscape(p.Name)),
		Description: text.Line(p.Description, 300), SHA256: text.Line(p.SHA256, text.NameLimit),
		Weight: text.Grouped(int64(p.Weight)), Queued: text.Grouped(p.Queued), Running: text.Grouped(p.Running),
	}
	r.Nodes, r.NodesTone = installedWords(p)
	r.Version = versionWords(p)
	r.Ended, r.Success, r.SuccessTone = successWords(p.Ended)
	return r
}

func installedWords(p api.Program) (value, tone string) {
	if n := brokenNodes(p); n > 0 {
		return fmt.Sprintf("cannot be started on %d of %s", n, text.Plural(len(p.Nodes), "node")), "bad"
	}
	switch len(p.Nodes) {
	case 0:
		if p.Queued > 0 {
			return "no node that is up has it", "bad"
		}
		return "no node that is up", "warn"
	case 1:
		return text.Line(p.Nodes[0].Node, text.NameLimit), ""
	}
	return text.Plural(len(p.Nodes), "node"), ""
}

// brokenNodes returns on how many nodes a program cannot be started.
func brokenNodes(p api.Program) (n int) {
	for _, on := range p.Nodes {
		if on.Problem != "" {
			n++
		}
	}
	return n
}

// versionWords returns the hash of a program, or how many versions there are.
func versionWords(p api.Program) string {
	versions := map[string]bool{}
	for _, n := range p.Nodes {
		versions[n.SHA256] = true
	}
	if len(versions) > 1 {
		return fmt.Sprintf("%d versions", len(versions))
	}
	return shortHash(p.SHA256)
}
