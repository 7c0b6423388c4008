package dispatch

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// pausesEvery is how often all tubes are looked at although no server has
	// counted a pause.
	pausesEvery = time.Minute
	// maxPauseLook bounds how many tubes of one server a look asks about.
	maxPauseLook = 2000
	// unpausedEvery is how often one tube leaves an event.
	unpausedEvery = time.Minute
)

// pauses finds the tubes that somebody has paused, and resumes those from which
// this node takes: nothing of this system pauses a tube, and work is stopped in
// the ledger.
type pauses struct {
	looks map[string]pauseLook // by the server's address
	noted map[string]time.Time // by address and tube

	mu  sync.Mutex
	now map[string]map[string]api.PausedTube // by address and tube
}

// pauseLook is what a server said when its tubes were looked at.
type pauseLook struct {
	server, count string // of pause-tube commands
	at            time.Time
	found         bool
}

// run looks at the servers that have counted another pause since the last look.
func (p *pauses) run(ctx context.Context, d *Dispatcher) {
	if p.looks == nil {
		p.looks, p.noted = map[string]pauseLook{}, map[string]time.Time{}
	}
	maps.DeleteFunc(p.noted, func(_ string, at time.Time) bool { return time.Since(at) > unpausedEvery })
	servers, _ := d.producer.Servers(ctx) // the consumers report an outage
	for _, s := range servers {
		last := p.looks[s.Addr]
		look := pauseLook{server: s.ID, count: s.Stats["cmd-pause-tube"], at: time.Now()}
		if s.Err != nil || !last.found && last.server == look.server && last.count == look.count && look.at.Sub(last.at) < pausesEvery {
			continue
		}
		var err error
		look.found, err = p.resume(ctx, d, s.Addr)
		d.warn(ctx, "cannot look for paused tubes", err)
		look.found = look.found || err != nil
		p.looks[s.Addr] = look
	}
}

// resume ends the pauses of our tubes on a server, and reports whether it has
// found any.
func (p *pauses) resume(ctx context.Context, d *Dispatcher, addr string) (found bool, err error) {
	tubes, err := d.producer.Tubes(ctx, addr)
	if err != nil {
		return false, err
	}
	tubes = slices.DeleteFunc(tubes, func(tube string) bool { return !d.reads(tube) })
	if n := len(tubes); n > maxPauseLook {
		rand.Shuffle(n, func(i, j int) { tubes[i], tubes[j] = tubes[j], tubes[i] })
		tubes, found = tubes[:maxPauseLook], true // look again in the next round
	}
	var events []eventlog.Event
	for _, tube := range tubes {
		stats, err := d.producer.TubeStats(ctx, addr, tube)
		if err != nil {
			return found, err
		}
		if !p.see(addr, tube, d.programOf(tube), stats) {
			continue
		}
		found = true
		if err := d.producer.Unpause(ctx, addr, tube); err != nil {
			return true, err
		}
		p.see(addr, tube, "", nil)
		if name := addr + " " + tube; p.noted[name].IsZero() {
			p.noted[name] = time.Now()
			text := fmt.Sprintf("somebody had paused the tube %s on %s for %s, so that nothing was taken from it; it is resumed. Use \"runnerbean drain\" to stop work",
				tube, addr, seconds(stats["pause"]))
			d.log.Warn(text, "node", d.cfg.Node)
			events = append(events, eventlog.Event{Kind: "unpaused", Message: text})
		}
	}
	d.note(ctx, events)
	return found, nil
}

// reads reports whether this node takes from a tube.
func (d *Dispatcher) reads(tube string) bool {
	return d.programOf(tube) != "" || slices.Contains(d.inboxes(), tube)
}

// programOf is the program of a run tube of this ledger; "" for other tubes.
func (d *Dispatcher) programOf(tube string) string {
	program, ok := strings.CutPrefix(tube, d.runTube(""))
	if !ok {
		return ""
	}
	return program
}

// see keeps whether a tube is paused, by its statistics, and reports it.
func (p *pauses) see(addr, tube, program string, stats map[string]string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := seconds(stats["pause-time-left"])
	if left <= 0 && seconds(stats["pause"]) <= 0 {
		delete(p.now[addr], tube)
		return false
	}
	until := time.Now().Add(left).UTC().Truncate(time.Second)
	if old, ok := p.now[addr][tube]; ok && old.Until.Sub(until).Abs() <= 2*time.Second {
		until = old.Until // whoever reads of it shall see no change
	}
	if p.now == nil {
		p.now = map[string]map[string]api.PausedTube{}
	}
	if p.now[addr] == nil {
		p.now[addr] = map[string]api.PausedTube{}
	}
	p.now[addr][tube] = api.PausedTube{Tube: tube, Addr: addr, Program: program, Until: until}
	return true
}

// of lists what is paused on a server, as of the last look, by name.
func (p *pauses) of(addr string) []api.PausedTube {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().Add(-2 * time.Second) // beanstalkd counts in whole seconds
	maps.DeleteFunc(p.now[addr], func(_ string, t api.PausedTube) bool { return t.Until.Before(now) })
	return slices.SortedFunc(maps.Values(p.now[addr]), func(a, b api.PausedTube) int { return strings.Compare(a.Tube, b.Tube) })
}

// Paused lists the tubes of this system that somebody has paused, on every server,
// as far as is known without asking. Those from which this node takes are resumed
// in the next round of the reconciler.
func (d *Dispatcher) Paused() (list []api.PausedTube) {
	for _, addr := range d.cfg.Queue.Addrs {
		list = append(list, d.pauses.of(addr)...)
	}
	return list
}

// PausedTubes asks a server for the paused tubes among all inboxes of a prefix and
// the run tubes of a ledger.
func PausedTubes(ctx context.Context, producer *queue.Producer, addr, prefix, ledger string) ([]api.PausedTube, error) {
	tubes, err := producer.Tubes(ctx, addr)
	if err != nil {
		return nil, err
	}
	var p pauses
	asked := 0
	for _, tube := range tubes {
		inbox := tube == queue.InboxTube(prefix) || strings.HasPrefix(tube, queue.InboxTube(prefix)+"/")
		if !inbox && !(ledger != "" && strings.HasPrefix(tube, queue.RunTube(prefix, ledger, ""))) {
			continue
		}
		if asked++; asked > maxPauseLook {
			break
		}
		stats, err := producer.TubeStats(ctx, addr, tube)
		if err != nil {
			return nil, err
		}
		p.see(addr, tube, "", stats)
	}
	return p.of(addr), nil
}
