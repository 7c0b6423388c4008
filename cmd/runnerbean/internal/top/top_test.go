package top

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

// colours matches the escape sequences that top writes.
var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

// screen is a model without a terminal. calls are its calls to the node.
type screen struct {
	t     *testing.T
	model *model
	data  snapshot
	err   error
	calls []string
}

func newScreen(t *testing.T) *screen {
	r := &screen{t: t}
	share := 0.25
	at := time.Date(2026, 11, 22, 6, 41, 0, 0, time.UTC)
	for i := range 3 {
		r.data.jobs = append(r.data.jobs, jobs.Result{
			ID: fmt.Sprintf("019aae04-9f80-7c61-8d2e-5b1c7a90e1f%d", i), Program: "forecast", State: jobs.Running,
			Node: "worker1", Progress: &share, Started: at.Add(-20 * time.Second), Message: "week 3",
		})
	}
	r.data.overview = api.Overview{
		At: at, Verdict: api.Verdict{Level: api.LevelWarn, Text: "One node is late: worker3"}, Busy: 6, Slots: 8,
		Queue: api.Queue{Queued: 1312, Oldest: at.Add(-130 * time.Second)},
		Nodes: []api.Node{{Name: "worker1", Alive: true, Slots: 4, Running: 3}, {Name: "worker3", Slots: 2, Control: api.Control{Paused: true}}},
	}
	say := func(verb, target string) (string, error) {
		r.calls = append(r.calls, verb+" "+target)
		return "done", nil
	}
	r.model = newModel(nodeAPI{
		load: func(state jobs.State) (snapshot, error) {
			r.calls = append(r.calls, "load "+string(state))
			return r.data, r.err
		},
		verb:    say,
		control: say,
	}, "http://node")
	r.run(r.model.Init())
	return r
}

// run runs a command and gives its message to the model. It does not wait for ticks.
func (r *screen) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	_, next := r.model.Update(cmd())
	if _, tick := next, r.model.loaded; next != nil && !tick {
		r.run(next)
	}
}

// press types keys and runs their commands.
func (r *screen) press(keys ...string) {
	for _, key := range keys {
		r.run(r.model.press(key))
	}
}

func (r *screen) shows(want ...string) {
	r.t.Helper()
	screen := colours.ReplaceAllString(strings.Join(r.model.screen(), "\n"), "")
	for _, text := range want {
		if !strings.Contains(screen, text) {
			r.t.Errorf("the screen lacks %q:\n%s", text, screen)
		}
	}
}

func (r *screen) asked(want ...string) {
	r.t.Helper()
	if got := strings.Join(r.calls, "; "); got != strings.Join(want, "; ") {
		r.t.Errorf("asked of the node: %q, want %q", got, strings.Join(want, "; "))
	}
	r.calls = nil
}

func TestTopShowsHowItStands(t *testing.T) {
	r := newScreen(t)
	r.asked("load running")
	r.shows("One node is late: worker3", "6 of 8 slots busy", "1,312 queued, oldest 2 min 10 s", "worker1", "3/4", "dead, paused",
		"019aae04…e1f0", "██▌░░░░░░░  25 %", "1 min left", "week 3")
}

func TestTopActsOnTheSelectedLine(t *testing.T) {
	r := newScreen(t)
	r.calls = nil
	for _, test := range []struct{ keys, want string }{
		{"c y", "cancel 019aae04-9f80-7c61-8d2e-5b1c7a90e1f0"},
		{"down t y", "terminate 019aae04-9f80-7c61-8d2e-5b1c7a90e1f1"},
		{"j s Y", "reset 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"},
		{"down down r", "retry 019aae04-9f80-7c61-8d2e-5b1c7a90e1f2"},
		{"k k k r", "retry 019aae04-9f80-7c61-8d2e-5b1c7a90e1f0"},
		{"tab p y", "pause worker1"},
		{"down p", "resume worker3"},
		{"d", "drain worker3"},
	} {
		r.press(strings.Fields(test.keys)...)
		r.asked(test.want)
		r.shows("done")
	}
}

func TestTopAsksBeforeItEndsAnything(t *testing.T) {
	r := newScreen(t)
	r.calls = nil
	for _, key := range []string{"c", "t", "s"} {
		r.press(key)
		r.shows("y/N")
		r.press("x")
		r.shows("nothing was done")
	}
	r.asked()
}

func TestTopKeepsTheSelectionWhileTheListMoves(t *testing.T) {
	r := newScreen(t)
	r.press("down")
	r.data.jobs = append([]jobs.Result{{ID: "019aae04-9f80-7c61-8d2e-000000000000", State: jobs.Running}}, r.data.jobs...)
	r.run(r.model.load())
	r.calls = nil
	r.press("r")
	r.asked("retry 019aae04-9f80-7c61-8d2e-5b1c7a90e1f1")
	r.data.jobs = nil
	r.run(r.model.load())
	r.calls = nil
	r.press("c", "y")
	r.asked()
	r.shows("none")
}

func TestTopSaysThatTheNodeIsAway(t *testing.T) {
	r := newScreen(t)
	r.err = errors.New("connection refused")
	r.run(r.model.load())
	r.shows("not connected since", "connection refused", "019aae04…e1f0")
	r.err = nil
	r.run(r.model.load())
	r.shows("One node is late")
}

func TestTopFitsAnyTerminal(t *testing.T) {
	r := newScreen(t)
	for range 300 {
		r.data.jobs = append(r.data.jobs, r.data.jobs[0])
	}
	r.run(r.model.load())
	for _, size := range [][2]int{{40, 10}, {80, 24}, {200, 60}, {20, 5}, {1, 1}} {
		r.model.Update(tea.WindowSizeMsg{Width: size[0], Height: size[1]})
		lines := r.model.screen()
		if len(lines) > size[1] {
			t.Errorf("%v: %d lines", size, len(lines))
		}
		for _, line := range lines {
			if n := ansi.StringWidth(line); n > size[0] {
				t.Errorf("%v: %d columns: %q", size, n, line)
			}
		}
	}
}
