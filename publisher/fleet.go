package publisher

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	// fleetAge is how old the picture of the nodes may be.
	fleetAge = time.Second
	// needsShown bounds how many jobs are named that another one waits for.
	needsShown = 8
)

// fleet is what all nodes together can do, read at most once a second.
type fleet struct {
	mu   sync.Mutex
	read time.Time
	now  capacity
}

// capacity is a moment of the fleet.
type capacity struct {
	slots   map[string]int  // by program, on nodes that are alive and not drained
	drained map[string]bool // programs that drained nodes have
	running int
}

func (p *Publisher) capacity(ctx context.Context) (capacity, error) {
	f := &p.fleet
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.read) < fleetAge {
		return f.now, nil
	}
	nodes, err := p.cfg.Ledger.Nodes(ctx)
	if err != nil {
		return capacity{}, err
	}
	counts, err := p.cfg.Ledger.Counts(ctx)
	if err != nil {
		return capacity{}, err
	}
	drains, err := p.drains(ctx)
	if err != nil {
		return capacity{}, err
	}
	f.now, f.read = newCapacity(nodes, drains, counts[jobs.Running]), time.Now()
	return f.now, nil
}

func newCapacity(nodes []ledger.Node, drains jobs.Drains, running int) capacity {
	c := capacity{slots: map[string]int{}, drained: map[string]bool{}, running: running}
	for _, n := range nodes {
		if !n.Alive {
			continue
		}
		out := drained(drains, n.Name)
		for _, program := range n.Programs {
			if out {
				c.drained[program.Name] = true
			} else {
				c.slots[program.Name] += n.Slots
			}
		}
	}
	return c
}

// explainQueued says what a queued job waits for and where it stands.
func (p *Publisher) explainQueued(ctx context.Context, r *jobs.Result) error {
	if !r.NotBefore.IsZero() {
		r.Reason = join(r.Reason, "starts not before "+r.NotBefore.UTC().Format(time.RFC3339))
		return nil
	}
	n, known, err := p.cfg.Ledger.Position(ctx, r.ID)
	if err != nil {
		return err
	}
	if known {
		r.Position = &n
	}
	now, err := p.capacity(ctx)
	if err != nil {
		return err
	}
	r.Reason = join(r.Reason, now.reason(r.Program, n, known))
	return nil
}

// reason puts into words why a job that is due does not run yet.
func (c capacity) reason(program string, before int, known bool) string {
	slots := c.slots[program]
	var ahead string
	switch {
	case !known:
		ahead = "many jobs come before it"
	case before == 1:
		ahead = "1 job comes before it"
	case before > 1:
		ahead = fmt.Sprintf("%d jobs come before it", before)
	}
	switch {
	case slots == 0 && c.drained[program]:
		return fmt.Sprintf("every node that is up and has the program %q is drained", program)
	case slots == 0:
		return fmt.Sprintf("no node that is up has the program %q", program)
	case c.running >= slots:
		return join("all slots are busy", ahead)
	case ahead != "":
		return ahead
	}
	return "is about to start"
}

// explainWaiting names the jobs that a job waits for.
func (p *Publisher) explainWaiting(ctx context.Context, r *jobs.Result, rec ledger.Record) error {
	var doc struct {
		Needs []string `json:"needs"`
	}
	if json.Unmarshal(rec.Document, &doc) != nil || len(doc.Needs) == 0 {
		return nil
	}
	var open []string
	for _, id := range doc.Needs[:min(len(doc.Needs), needsShown)] {
		state, err := p.stateOf(ctx, id)
		if err != nil {
			return err
		}
		if state != string(jobs.Succeeded) {
			open = append(open, id+" ("+state+")")
		}
	}
	if more := len(doc.Needs) - needsShown; more > 0 {
		open = append(open, fmt.Sprintf("and up to %d more", more))
	}
	if len(open) > 0 {
		r.Reason = "waits for the jobs that it needs: " + strings.Join(open, ", ")
	}
	return nil
}

func (p *Publisher) stateOf(ctx context.Context, id string) (string, error) {
	rec, err := p.cfg.Ledger.Get(ctx, id)
	if isUnknown(err) {
		return "not known yet", nil
	}
	return string(rec.State), err
}

// join joins what is said with a semicolon.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}
