package top

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/jobs"
)

// filters are the states that the key f goes through; "" lists all jobs.
var filters = []jobs.State{jobs.Running, jobs.Queued, jobs.Waiting, jobs.Failed, ""}

// model is the state of the screen. Only Update changes it.
type model struct {
	api           nodeAPI
	base          string
	width, height int

	data   snapshot
	loaded bool
	err    error // of the last reading

	nodes  bool // the selection is in the nodes, not in the jobs
	filter int
	chosen string   // id of the job or name of the node
	ask    *command // waits for an answer
	note   string   // the outcome of the last command
	help   bool
}

// command is a verb on a job or a node.
type command struct {
	verb, target string
	node         bool
}

type (
	tick   struct{}
	loaded struct {
		filter int
		data   snapshot
		err    error
	}
	acted struct {
		text string
		err  error
	}
)

func newModel(api nodeAPI, base string) *model {
	return &model{api: api, base: base, width: 80, height: 24}
}

func (m *model) Init() tea.Cmd { return m.load() }

func (m *model) load() tea.Cmd {
	filter := m.filter
	return func() tea.Msg {
		data, err := m.api.load(filters[filter])
		return loaded{filter, data, err}
	}
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tick:
		return m, m.load()
	case loaded:
		return m, m.show(msg)
	case acted:
		m.note = msg.text
		if msg.err != nil {
			m.note = terminal.Safe(msg.err.Error())
		}
	case tea.KeyPressMsg:
		return m, m.press(msg.String())
	}
	return m, nil
}

// show shows what was read, and reads again after a second.
func (m *model) show(msg loaded) tea.Cmd {
	if msg.filter != m.filter {
		return m.load() // the filter has changed meanwhile
	}
	m.err = msg.err
	if msg.err == nil {
		m.data, m.loaded = msg.data, true
		m.keepChosen()
	}
	return tea.Tick(refreshEvery, func(time.Time) tea.Msg { return tick{} })
}

// lines returns the names of the nodes or the ids of the jobs.
func (m *model) lines() []string {
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

// keepChosen selects the first line if the selected one is gone.
func (m *model) keepChosen() {
	lines := m.lines()
	if slices.Contains(lines, m.chosen) {
		return
	}
	m.chosen = ""
	if len(lines) > 0 {
		m.chosen = lines[0]
	}
}

// press handles a key.
func (m *model) press(key string) tea.Cmd {
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
		m.nodes, m.filter = false, (m.filter+1)%len(filters)
		m.data.jobs = nil
		m.keepChosen()
	default:
		return m.order(key)
	}
	return nil
}

func (m *model) move(by int) {
	lines := m.lines()
	if len(lines) > 0 {
		at := max(slices.Index(lines, m.chosen), 0) + by
		m.chosen = lines[min(max(at, 0), len(lines)-1)]
	}
}

// jobKeys are the keys for verbs on jobs.
var jobKeys = map[string]string{"c": "cancel", "t": "terminate", "r": "retry", "s": "reset"}

// order handles a key that acts on the selected line.
func (m *model) order(key string) tea.Cmd {
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
	o := command{verb: verb, target: target, node: node}
	switch verb {
	case "retry", "resume", "undrain", "drain":
		return m.send(o)
	}
	m.ask = &o
	return nil
}

func (m *model) node() *api.Node {
	for i, n := range m.data.overview.Nodes {
		if n.Name == m.chosen {
			return &m.data.overview.Nodes[i]
		}
	}
	return nil
}

// nodeVerb returns the verb of a key for a node in its present state, or "".
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

// answer handles the answer to a question.
func (m *model) answer(key string) tea.Cmd {
	o := *m.ask
	m.ask = nil
	if key != "y" && key != "Y" {
		m.note = "nothing was done"
		return nil
	}
	return m.send(o)
}

func (m *model) send(o command) tea.Cmd {
	call := m.api.verb
	if o.node {
		call = m.api.control
	}
	return func() tea.Msg {
		text, err := call(o.verb, o.target)
		return acted{text, err}
	}
}
