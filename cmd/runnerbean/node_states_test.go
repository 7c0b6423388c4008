package main

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/queue/queuetest"
)

// pageState finds the state on the page of a node.
var pageState = regexp.MustCompile(`<p class="state [a-z]*"><span class="dot"></span>([^<]*)</p>`)

// TestStatesHaveOneWord checks that the page of a node, the list of nodes on pages, the
// command nodes and the verdict of the API have the same word for each state. Nodes that
// have left are in a table of their own on the page of all nodes.
func TestStatesHaveOneWord(t *testing.T) {
	t.Parallel()
	p := newNode(t, queuetest.Start(t).Addr)
	q := p.beside("n2")
	q.env = append(q.env, "RUNNERBEAN_SLOTS=0")
	p.start("worker")
	q.start("worker")
	check := func(want string) {
		t.Helper()
		var page, list, line string
		p.until("n2 is "+want+" in all places", func() bool {
			page, list, line = "", "", ""
			if m := pageState.FindStringSubmatch(p.text("/nodes/n2")); m != nil {
				page = m[1]
			}
			row := p.text("/nodes")
			row = row[max(0, strings.LastIndex(row, `/nodes/n2"`)):]
			if cell := regexp.MustCompile(`<span class="dot"></span> ([a-z]+)<`).FindStringSubmatch(row); cell != nil {
				list = cell[1]
			}
			_, rest, _ := strings.Cut(p.must("nodes"), "\nn2")
			if fields := strings.Fields(rest); len(fields) > 0 {
				line = fields[0]
			}
			return page == want && (list == want || want == "left") && line == want && p.verdictSays("n2", want)
		})
	}
	check("up")
	p.must("pause", "n2")
	check("paused")
	p.must("resume", "n2")
	p.must("drain", "n2")
	check("drained")
	p.must("drain", "n2", "--off")
	if err := q.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	check("late")
	check("dead")
	if err := q.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-q.done
	q.start("worker")
	check("up")
	q.end(syscall.SIGTERM)
	check("left")
}

// verdictSays reports whether the verdict of the API names a node with a word. It has no
// finding about a node that is up or has left.
func (p *process) verdictSays(node, word string) bool {
	var o api.Overview
	if err := json.Unmarshal([]byte(p.must("stats", "--json")), &o); err != nil {
		p.t.Fatal(err)
	}
	named := slices.IndexFunc(o.Verdict.Findings, func(f api.Finding) bool { return strings.Contains(f.Text, node) })
	if word == "up" || word == "left" {
		return named < 0
	}
	return named >= 0 && strings.Contains(o.Verdict.Findings[named].Text, "is "+word)
}

// TestProgramsTextCountsWarmProcesses of a node that is alive.
func TestProgramsTextCountsWarmProcesses(t *testing.T) {
	t.Parallel()
	n := api.Node{Alive: true, Programs: []string{"bad", "cat", "model"}, Installed: []api.Installed{{Name: "bad", Problem: "no"}}}
	n.Vitals = &api.Vitals{Warm: []api.WarmProcess{{Program: "model"}, {Program: "gone"}, {Program: "model"}}}
	if got, want := programsText(n), "bad (cannot start), cat, model (2 warm)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	n.Alive = false
	if got, want := programsText(n), "bad (cannot start), cat, model"; got != want {
		t.Errorf("a dead node: %q, want %q", got, want)
	}
}
