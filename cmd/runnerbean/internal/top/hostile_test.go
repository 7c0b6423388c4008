package top

import (
	"errors"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal/hostiletest"
)

func TestHostileStringsAreHarmlessInTop(t *testing.T) {
	data := snapshot{overview: hostiletest.Filled[api.Overview](), jobs: hostiletest.Filled[api.Page]().Jobs}
	for name, m := range map[string]*model{
		"shown":      {data: data, loaded: true},
		"nodes":      {data: data, loaded: true, nodes: true, chosen: hostiletest.Text},
		"asked":      {data: data, loaded: true, ask: &command{verb: "cancel", target: hostiletest.Text}},
		"asked node": {data: data, loaded: true, ask: &command{verb: "pause", target: hostiletest.Text, node: true}},
		"an error":   {data: data, loaded: true, err: errors.New(hostiletest.Text), base: hostiletest.Text},
		"at first":   {err: errors.New(hostiletest.Text), base: hostiletest.Text},
	} {
		m.width, m.height = 120, 40
		for _, line := range m.screen() {
			if n := ansi.StringWidth(line); n > 120 {
				t.Errorf("%s: a line has %d columns", name, n)
			}
			if bad := hostiletest.Obeyed(colours.ReplaceAllString(line, "")); bad != "" {
				t.Errorf("%s: a terminal would obey %q in %.200q", name, bad, line)
			}
		}
	}
	m := newModel(nodeAPI{}, "")
	m.Update(acted{err: errors.New(hostiletest.Text)})
	if bad := hostiletest.Obeyed(m.note); bad != "" {
		t.Errorf("a terminal would obey %q", bad)
	}
}
