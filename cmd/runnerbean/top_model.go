package main

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// topFilters are the lists of jobs that f goes through; "" is all of them.
var topFilters = []jobs.State{jobs.Running, jobs.Queued, jobs.Waiting, jobs.Failed, ""}

// topModel is the state of the screen. Only Update changes it.
type topModel struct {
	api           topAPI
	base          string
	width, height int

	data   topData
	loaded bool
	err    error // why the newest reading failed

	nodes  bool // the nodes are selected in, not the jobs
	filter int
	chosen string    // id of the job or name of the node
	ask    *topOrder // waits for a yes
	note   string    // what came of the last order
	help   bool
}

// topOrder is something that a key asks for.
type topOrder struct {
	verb, target string
	node         bool
}

type (
	topTick   struct{}
	topLoaded struct {
		filter int
		data   topData
		err    error
	}
	topActed struct {
		text string
		err  error
	}
)

func newTopModel(api topAPI, base string) *topModel {
	return &topModel{api: api, base: base, width: 80, height: 24}
}

func (m *topModel) Init() tea.Cmd { return m.load() }

func (m *topModel) load() tea.Cmd {
	filter := m.filter
	return func() tea.Msg {
		data, err := m.api.load(topFilters[filter])
		return topLoaded{filter, data, err}
	}
}

func (m *topModel) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case topTick:
		return m, m.load()
	case topLoaded:
		return m, m.take(msg)
	case topActed:
		m.note = msg.text
		if msg.err != nil {
			m.note = terminal.Safe(msg.err.Error())
		}
	case tea.KeyPressMsg:
		return m, m.press(msg.String())
	}
	return m, nil
}

// take shows what was read and asks again after a while.
func (m *topModel) take(msg topLoaded) tea.Cmd {
	if msg.filter != m.filter {
		return m.load() // the list was changed meanwhile
	}
	m.err = msg.err
	if msg.err == nil {
		m.data, m.loaded = msg.data, true
		m.keepChosen()
	}
	return tea.Tick(topEvery, func(time.Time) tea.Msg { return topTick{} })
}

// lines are the targets of the list that is selected in.
func (m *topModel) lines() []string {
	var list []string
	if m.nodes {
		for _, n := range m.data.overview.Nodes {
			list = append(list, n.Name)
		}
		return list
	}
	for _, r := range m.data.jobs {
		list = append(list, r.ID)
	}
	return list
}

// keepChosen selects the first line where the selected one is gone.
func (m *topModel) keepChosen() {
	lines := m.lines()
	if slices.Contains(lines, m.chosen) {
		return
	}
	m.chosen = ""
	if len(lines) > 0 {
		m.chosen = lines[0]
	}
}

// press does what a key says.
func (m *topModel) press(key string) tea.Cmd {
	if key == "ctrl+c" {
		return tea.Quit
	}
	if m.ask != nil {
		return m.answer(key)
	}
	m.note = ""
	switch key {
	case "q", "esc":
		if m.help {
			m.help = false
			return nil
		}
		return tea.Quit
	case "?", "h":
		m.help = !m.help
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-10)
	case "pgdown":
		m.move(10)
	case "tab":
		m.nodes = !m.nodes
		m.keepChosen()
	case "f":
		m.nodes, m.filter = false, (m.filter+1)%len(topFilters)
		m.data.jobs = nil
		m.keepChosen()
	default:
		return m.order(key)
	}
	return nil
}

func (m *topModel) move(by int) {
	lines := m.lines()
	if len(lines) > 0 {
		at := max(slices.Index(lines, m.chosen), 0) + by
		m.chosen = lines[min(max(at, 0), len(lines)-1)]
	}
}

// jobKeys are the verbs of the keys for a job.
var jobKeys = map[string]string{"c": "cancel", "t": "terminate", "r": "retry", "s": "reset"}

// order is a key that acts on the selected line.
func (m *topModel) order(key string) tea.Cmd {
	verb, target := jobKeys[key], m.chosen
	node := false
	if m.nodes {
		if n := m.node(); n != nil {
			verb, node = nodeVerb(key, *n), true
		}
	}
	if verb == "" || target == "" {
		return nil
	}
	o := topOrder{verb: verb, target: target, node: node}
	switch verb {
	case "retry", "resume", "undrain", "drain":
		return m.send(o)
	}
	m.ask = &o
	return nil
}

func (m *topModel) node() *api.Node {
	for i, n := range m.data.overview.Nodes {
		if n.Name == m.chosen {
			return &m.data.overview.Nodes[i]
		}
	}
	return nil
}

// nodeVerb is what a key does to a node as it stands.
func nodeVerb(key string, n api.Node) string {
	switch {
	case key == "p" && n.Control.Paused:
		return "resume"
	case key == "p":
		return "pause"
	case key == "d" && n.Drained:
		return "undrain"
	case key == "d":
		return "drain"
	}
	return ""
}

// answer takes the answer to a question.
func (m *topModel) answer(key string) tea.Cmd {
	o := *m.ask
	m.ask = nil
	if key != "y" && key != "Y" {
		m.note = "nothing was done"
		return nil
	}
	return m.send(o)
}

func (m *topModel) send(o topOrder) tea.Cmd {
	call := m.api.verb
	if o.node {
		call = m.api.control
	}
	return func() tea.Msg {
		text, err := call(o.verb, o.target)
		return topActed{text, err}
	}
}
