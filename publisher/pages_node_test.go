package publisher

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/browsertest"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
)

const weatherSchema = `{"type":"object","required":["town","days"],"additionalProperties":false,"properties":{
	"town":{"type":"string","maxLength":80,"description":"The nearest town."},
	"days":{"type":"integer","minimum":1,"maximum":14,"default":7},
	"model":{"enum":["fast","exact"],"description":"exact takes ten times as long."},
	"verbose":{"type":"boolean"},
	"grid":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"integer"}}},
	"heights":{"type":"array","items":{"type":"number"}},
	"extra":{}}}`

var testPrograms = []nodes.Program{
	{Name: "weather", SHA256: strings.Repeat("a1", 32), Description: "Weather of some days.", Input: []byte(weatherSchema)},
	{Name: testProgram, SHA256: "abc"},
}

// pool registers nodes with programs, and serves the publisher.
func (b *bench) pool() string {
	b.t.Helper()
	other := testPrograms[0]
	other.SHA256 = strings.Repeat("b2", 32)
	for _, n := range []nodes.Node{
		{Name: testNode, Instance: testInstance, Slots: 4, BaseURL: "http://127.0.0.1:8420", Version: "v1.2.3", Programs: testPrograms},
		{Name: "node2", Instance: "instance2", Slots: 2, Programs: []nodes.Program{other}},
		{Name: "node3", Instance: "instance3", Slots: 2},
	} {
		if err := b.ledger.Nodes.Register(context.Background(), n); err != nil {
			b.t.Fatal(err)
		}
	}
	if err := b.ledger.Nodes.Leave(context.Background(), "instance3"); err != nil {
		b.t.Fatal(err)
	}
	s := httptest.NewServer(b.p.Handler())
	b.t.Cleanup(s.Close)
	b.t.Cleanup(b.p.broker.End)
	b.t.Cleanup(s.CloseClientConnections)
	return s.URL
}

// beat sends a heartbeat of a node with the vitals of its machine.
func (b *bench) beat(instance string, slots int, v api.Vitals) {
	b.t.Helper()
	text, err := json.Marshal(v)
	if err == nil {
		err = b.ledger.Nodes.Beat(context.Background(), instance, testPrograms, slots, text)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}

func TestNodeAndProgramPagesInTheBrowser(t *testing.T) {
	b := newBench(t)
	url := b.pool()
	id := b.queued("")
	b.running(id)
	at := time.Now().Add(-90 * time.Second)
	vitals := api.Vitals{
		At: time.Now(), Load: [3]float64{2.84, 2.5, 1.9}, CPUs: 4, CPU: 0.71, MemoryTotal: 16 << 30, MemoryAvailable: 9 << 30,
		Disks: []api.Disk{
			{Path: "/var/lib/runnerbean", Use: "data, store", Total: 500 << 30, Free: 212 << 30, Floor: 256 << 20},
			{Path: "/tmp", Use: "scratch", Total: 8 << 30, Free: 300 << 20, Floor: 256 << 20},
		},
		Battery: &api.Battery{Charge: 0.83, Charging: true},
		Processes: []api.Process{
			{Job: id, Attempt: 1, PID: 4711, Parent: 1, Name: "forecast", CPU: 0.02, CPUSeconds: 0.4, Memory: 12 << 20, Started: at},
			{Job: id, Attempt: 1, PID: 4712, Parent: 4711, Name: "solver", CPU: 0.98, CPUSeconds: 81.3, Memory: 612 << 20, Started: at},
		},
		Warm: []api.WarmProcess{
			{Program: "weather", PID: 4802, Started: at, Jobs: 12345, Memory: 88 << 20},
			{Program: testProgram, PID: 4801, Started: at.Add(-26 * time.Hour), Jobs: 7, Job: id, Memory: 1200 << 20},
			{Program: "weather", PID: 4803, Started: at.Add(88 * time.Second)},
		},
	}
	chromium := browsertest.Start(t)
	for _, page := range []struct{ path, name, holds string }{
		{"/nodes", "nodes", "node2"},
		{"/nodes/" + testNode, "node", "solver"},
		{"/nodes/node3", "node-left", "stopped in good order"},
		{"/programs", "programs", "Weather of some days."},
		{"/programs/weather", "program", "The nearest town."},
	} {
		t.Run(page.name, func(t *testing.T) {
			tab := browsertest.NewTab(t, chromium)
			b.beat(testInstance, 4, vitals) // the tests before may have taken longer than a lease
			tab.Open(url + page.path)
			if text := browsertest.Evaluate[string](tab, "document.querySelector('main').innerText"); !strings.Contains(text, page.holds) {
				t.Errorf("the page lacks %q:\n%s", page.holds, text)
			}
			tab.CheckAccess(page.name)
			tab.Shoot(page.name)
			tab.CheckKeyboard(page.name)
			tab.CheckComplaints()
		})
	}
}

// TestNodeActions presses each button of a node's page.
func TestNodeActions(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Control = func(ctx context.Context, node string, change func(*nodes.Control), by string, expect *time.Time) (nodes.Control, error) {
			return c.Ledger.Nodes.SetControl(ctx, node, change, by, expect)
		}
	})
	url := b.pool()
	tab := browsertest.NewTab(t, browsertest.Start(t))
	node := func() api.Node {
		n, err := b.p.nodes.Get(context.Background(), testNode)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	press := func(text string) {
		tab.Open(url + "/nodes/" + testNode)
		tab.Press(text)
	}
	press("Pause")
	tab.Until(`document.querySelector("#node .state")?.textContent.includes("paused")`)
	if !node().Control.Paused {
		t.Error("it is not paused")
	}
	press("Resume")
	tab.Until(`document.querySelector("#node .state")?.textContent.includes("up")`)
	press("Drain")
	tab.Until(`document.querySelector("#node .state")?.textContent.includes("drained")`)
	if !node().Drained {
		t.Error("it is not drained")
	}
	press("Take work again")
	tab.Until(`document.querySelector("#node .state")?.textContent.includes("up")`)
	tab.Open(url + "/nodes/" + testNode)
	tab.Fill("input[name=slots]", "7")
	tab.Press("Set slots")
	tab.Until(`document.querySelector("#node")?.textContent.includes("set to 7 slots")`)
	if s := node().Control.Slots; s == nil || *s != 7 {
		t.Errorf("slots are %v", s)
	}
	press("Back to the node's own number of slots")
	tab.Until(`!document.querySelector("#node")?.textContent.includes("set to 7 slots")`)
	tab.CheckComplaints()
}

func TestNodeActRefusesWhatMakesNoSense(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Control = nil })
	url := b.pool()
	for body, want := range map[string]int{
		"do=dance": 400, "do=slots&slots=x": 422, "do=slots&slots=-1": 422, "do=slots&slots=9999": 422, "": 400,
		"do=pause&reason=" + strings.Repeat("x", 600): 422, "do=pause": 403,
	} {
		answer, err := http.Post(url+"/nodes/"+testNode+"/act", "application/x-www-form-urlencoded", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%.40q: %d, want %d", body, answer.StatusCode, want)
		}
	}
	answer, err := http.Post(url+"/nodes/nobody/act", "application/x-www-form-urlencoded", strings.NewReader("do=drain"))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != 404 {
		t.Errorf("an unknown node: %d", answer.StatusCode)
	}
}
