package top

import (
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// These are the colours of the terminal, which a person may have changed.
var (
	soft   = lipgloss.NewStyle().Faint(true)
	strong = lipgloss.NewStyle().Bold(true)
	green  = lipgloss.NewStyle().Foreground(lipgloss.Green)
	amber  = lipgloss.NewStyle().Foreground(lipgloss.Yellow)
	red    = lipgloss.NewStyle().Foreground(lipgloss.Red)
	marked = lipgloss.NewStyle().Reverse(true)
)

// Help is the help text of "runnerbean top". It names the keys.
const Help = `Watch the whole system live on the terminal: the verdict, the nodes, and the jobs
that run, wait or have failed. Keys act on the selected line; what cannot be
undone is asked first.

  up down k j   select          c   cancel the job       p   pause or resume the node
  tab           jobs or nodes   t   terminate the job    d   drain or undrain the node
  f             which jobs      r   retry the job        s   let the job start over
  ?             these keys      q   quit`

const keyLine = "↑↓ tab f choose · c cancel · t terminate · r retry · s start over · ? keys · q quit"

func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.screen(), "\n"))
	v.AltScreen, v.WindowTitle = true, "runnerbean top"
	return v
}

// screen returns all lines. None is wider than the terminal.
func (m *model) screen() []string {
	lines := m.head()
	foot := m.foot()
	if m.help {
		lines = append(lines, strings.Split(Help, "\n")...)
	} else if m.loaded {
		lines = append(lines, m.nodeLines(max(2, (m.height-len(lines)-len(foot))/3))...)
		lines = append(lines, m.jobLines(max(1, m.height-len(lines)-len(foot)))...)
	}
	lines = lines[:min(len(lines), max(0, m.height-len(foot)))]
	for len(lines) < m.height-len(foot) {
		lines = append(lines, "")
	}
	lines = append(lines, foot...)
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], m.width, "…")
	}
	return lines
}

func (m *model) head() []string {
	title := green.Bold(true).Render("runnerbean") + soft.Render(" "+terminal.Safe(m.base))
	if !m.loaded {
		if m.err != nil {
			return []string{title, red.Render("● ") + terminal.Safe(m.err.Error()), ""}
		}
		return []string{title, soft.Render("reading…"), ""}
	}
	o := m.data.overview
	verdict := levelStyle(o.Verdict.Level).Render("● ") + terminal.Safe(o.Verdict.Text)
	if m.err != nil {
		verdict = red.Render("● not connected since "+o.At.Local().Format(time.TimeOnly)+": ") + terminal.Safe(m.err.Error())
	}
	return []string{title + soft.Render("  "+o.At.Local().Format(time.TimeOnly)), verdict, figures(o), ""}
}

func levelStyle(l api.Level) lipgloss.Style {
	switch l {
	case api.LevelOK:
		return green
	case api.LevelWarn:
		return amber
	}
	return red
}

// figures returns the line of numbers.
func figures(o api.Overview) string {
	parts := []string{
		strong.Render(fmt.Sprintf("%d of %d", o.Busy, o.Slots)) + soft.Render(" slots busy"),
		strong.Render(text.Grouped(o.Queue.DueNow())) + soft.Render(" queued"),
	}
	if !o.Queue.Oldest.IsZero() {
		parts[1] += soft.Render(", oldest " + terminal.Duration(o.At.Sub(o.Queue.Oldest)))
	}
	if o.Queue.Scheduled > 0 {
		parts = append(parts, strong.Render(text.Grouped(o.Queue.Scheduled))+soft.Render(" scheduled"))
	}
	if o.Queue.Waiting > 0 {
		parts = append(parts, strong.Render(text.Grouped(o.Queue.Waiting))+soft.Render(" waiting"))
	}
	parts = append(parts, strong.Render(text.Grouped(o.LastHour[jobs.Succeeded]))+soft.Render(" succeeded in 1 h"))
	if n := o.LastHour[jobs.Failed]; n > 0 {
		parts = append(parts, red.Bold(true).Render(text.Grouped(n))+soft.Render(" failed"))
	}
	return strings.Join(parts, soft.Render("  ·  "))
}

// nodeLines returns at most n lines about nodes.
func (m *model) nodeLines(n int) []string {
	nodes := m.data.overview.Nodes
	lines := []string{soft.Render(row(m.width, col("NODE", 16), col("SLOTS", 14), col("LOAD", 6), col("MEMORY", 8), col("STATE", 0)))}
	from, to := visible(len(nodes), n-2, m.index(m.nodes))
	for _, node := range nodes[from:to] {
		lines = append(lines, m.mark(m.nodes && node.Name == m.chosen, m.nodeLine(node)))
	}
	if hidden := len(nodes) - (to - from); hidden > 0 {
		lines = append(lines, soft.Render(fmt.Sprintf("and %d more", hidden)))
	}
	return append(lines, "")
}

func (m *model) nodeLine(n api.Node) string {
	load, memory, _ := terminal.Vitals(n.Vitals)
	slots := fmt.Sprintf("%d/%d", n.Running, n.Slots)
	if n.Slots > 0 && n.Slots <= 8 {
		slots = terminal.Bar(float64(n.Running)/float64(n.Slots), n.Slots) + " " + slots
	}
	return row(m.width, col(terminal.Safe(n.Name), 16), col(slots, 14), col(load, 6), col(memory, 8), col(terminal.NodeState(n, m.data.overview.At), 0))
}

// jobLines returns at most n lines about jobs.
func (m *model) jobLines(n int) []string {
	what := string(filters[m.filter])
	if what == "" {
		what = "all, newest first"
	}
	head := row(m.width, col("JOB", 14), col("PROGRAM", 14), col("NODE", 12), col(strings.ToUpper(what), 0))
	lines, list := []string{soft.Render(head)}, m.data.jobs
	if len(list) == 0 {
		return append(lines, soft.Render("none"))
	}
	from, to := visible(len(list), n-1, m.index(!m.nodes))
	for _, r := range list[from:to] {
		lines = append(lines, m.mark(!m.nodes && r.ID == m.chosen, m.jobLine(r)))
	}
	return lines
}

func (m *model) jobLine(r jobs.Result) string {
	told := terminal.JobNote(r)
	if r.State == jobs.Running && r.Progress != nil {
		told = fmt.Sprintf("%s %3.0f %%", terminal.Bar(*r.Progress, 10), *r.Progress*100)
		if left, ok := terminal.TimeLeft(r, m.data.overview.At); ok {
			told += " " + terminal.Duration(left) + " left"
		}
		told += " " + terminal.Safe(r.Message)
	}
	if r.State == jobs.Running && r.Chunk != nil {
		told += " (" + terminal.Chunk(r.Chunk) + ")"
	}
	if filters[m.filter] == "" {
		told = terminal.Safe(string(r.State)) + " " + told
	}
	return row(m.width, col(text.ShortID(r.ID), 14), col(terminal.Safe(r.Program), 14), col(terminal.Safe(r.Node), 12), col(told, 0))
}

// mark shows a line in reverse where it is chosen.
func (m *model) mark(chosen bool, line string) string {
	if !chosen {
		return line
	}
	return marked.Render(line + strings.Repeat(" ", max(0, m.width-ansi.StringWidth(line))))
}

func (m *model) index(here bool) int {
	if !here {
		return 0
	}
	return max(slices.Index(m.lines(), m.chosen), 0)
}

// visible returns the part of a list of n lines that fits into room lines and contains
// one of them.
func visible(n, room, with int) (from, to int) {
	room = max(room, 1)
	from = max(0, min(with-room/2, n-room))
	return from, min(n, from+room)
}

// foot returns the question, the outcome of the last command, or the keys.
func (m *model) foot() []string {
	switch {
	case m.ask != nil && m.ask.node:
		return []string{amber.Render(fmt.Sprintf("%s node %s? y/N", m.ask.verb, terminal.Safe(m.ask.target)))}
	case m.ask != nil:
		return []string{amber.Render(fmt.Sprintf("%s job %s? y/N", m.ask.verb, terminal.Safe(m.ask.target)))}
	case m.note != "":
		return []string{m.note}
	}
	return []string{soft.Render(keyLine)}
}

// column is a text and its width. The width 0 is the rest of the line.
type column struct {
	text  string
	width int
}

func col(text string, width int) column { return column{text, width} }

// row lays out columns. On a terminal of less than 80 columns they shrink in
// proportion.
func row(width int, columns ...column) string {
	var line strings.Builder
	for i, c := range columns {
		room := c.width
		if width < 80 {
			room = room * max(width, 40) / 80
		}
		if c.width == 0 || i == len(columns)-1 {
			line.WriteString(c.text)
			continue
		}
		text := ansi.Truncate(c.text, room-1, "…")
		line.WriteString(text + strings.Repeat(" ", max(1, room-ansi.StringWidth(text))))
	}
	return ansi.Truncate(line.String(), width, "…")
}
