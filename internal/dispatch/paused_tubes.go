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
	// pausesEvery is how often the reconciler asks about all tubes although no
	// server has counted a pause.
	pausesEvery = time.Minute
	// maxPauseLook is the largest number of tubes of one server that one look asks
	// about.
	maxPauseLook = 2000
	// unpausedEvery is the shortest time between two events of one tube.
	unpausedEvery = time.Minute
)

// pauseList holds the tubes that were seen paused.
type pauseList struct {
	mu  sync.Mutex
	now map[string]map[string]api.PausedTube // by address and tube
}

// see stores whether a tube is paused, by its statistics, and reports it.
func (p *pauseList) see(addr, tube, program string, stats map[string]string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	left := seconds(stats["pause-time-left"])
	if left <= 0 && seconds(stats["pause"]) <= 0 {
		delete(p.now[addr], tube)
		return false
	}
	until := time.Now().Add(left).UTC().Truncate(time.Second)
	if old, ok := p.now[addr][tube]; ok && old.Until.Sub(until).Abs() <= 2*time.Second {
		until = old.Until // so that readers see no change
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

// of returns the paused tubes of a server as of the last look, sorted by name.
func (p *pauseList) of(addr string) []api.PausedTube {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now().Add(-2 * time.Second) // beanstalkd counts in whole seconds
	maps.DeleteFunc(p.now[addr], func(_ string, t api.PausedTube) bool { return t.Until.Before(now) })
	return slices.SortedFunc(maps.Values(p.now[addr]), func(a, b api.PausedTube) int { return strings.Compare(a.Tube, b.Tube) })
}

// pausedTubes resumes the paused tubes from which this node takes messages. This
// system never pauses a tube: work is stopped in the ledger.
type pausedTubes struct {
	list     *pauseList
	producer *queue.Producer
	tubes    tubes
	events   *eventRecorder

	looks map[string]pauseLook // by the server's address
	noted map[string]time.Time // when a tube's event was recorded, by address and tube
}

// pauseLook is what a server said when its tubes were looked at.
type pauseLook struct {
	server, count string // instance, and its number of pause-tube commands
	at            time.Time
	found         bool
}

// resumeAll looks at the servers that have counted another pause since the last
// look.
func (p *pausedTubes) resumeAll(ctx context.Context) {
	if p.looks == nil {
		p.looks, p.noted = map[string]pauseLook{}, map[string]time.Time{}
	}
	maps.DeleteFunc(p.noted, func(_ string, at time.Time) bool { return time.Since(at) > unpausedEvery })
	servers, _ := p.producer.Servers(ctx) // the consumers report an outage
	for _, s := range servers {
		last := p.looks[s.Addr]
		look := pauseLook{server: s.ID, count: s.Stats["cmd-pause-tube"], at: time.Now()}
		if s.Err != nil || !last.found && last.server == look.server && last.count == look.count && look.at.Sub(last.at) < pausesEvery {
			continue
		}
		found, err := p.resumeOn(ctx, s.Addr)
		p.events.warn(ctx, "cannot look for paused tubes", err)
		look.found = found || err != nil
		p.looks[s.Addr] = look
	}
}

// resumeOn ends the pauses of our tubes on a server, and reports whether it found
// any.
func (p *pausedTubes) resumeOn(ctx context.Context, addr string) (found bool, err error) {
	tubes, err := p.producer.Tubes(ctx, addr)
	if err != nil {
		return false, err
	}
	tubes = slices.DeleteFunc(tubes, func(tube string) bool { return !p.tubes.reads(tube) })
	if n := len(tubes); n > maxPauseLook {
		rand.Shuffle(n, func(i, j int) { tubes[i], tubes[j] = tubes[j], tubes[i] })
		tubes, found = tubes[:maxPauseLook], true // look again in the next round
	}
	var events []eventlog.Event
	for _, tube := range tubes {
		stats, err := p.producer.TubeStats(ctx, addr, tube)
		if err != nil {
			return found, err
		}
		if !p.list.see(addr, tube, p.tubes.program(tube), stats) {
			continue
		}
		found = true
		if err := p.producer.Unpause(ctx, addr, tube); err != nil {
			return true, err
		}
		p.list.see(addr, tube, "", nil)
		if name := addr + " " + tube; p.noted[name].IsZero() {
			p.noted[name] = time.Now()
			text := fmt.Sprintf("somebody had paused the tube %s on %s for %s, so that nothing was taken from it; it is resumed. Use \"runnerbean drain\" to stop work",
				tube, addr, seconds(stats["pause"]))
			p.events.log.Warn(text, "node", p.tubes.node)
			events = append(events, eventlog.Event{Kind: "unpaused", Message: text})
		}
	}
	p.events.record(ctx, events)
	return found, nil
}

// PausedTubes asks a server which of its tubes are paused, among all inboxes of a
// prefix and the run tubes of a ledger. It returns them sorted by name.
func PausedTubes(ctx context.Context, producer *queue.Producer, addr, prefix, ledger string) ([]api.PausedTube, error) {
	tubes, err := producer.Tubes(ctx, addr)
	if err != nil {
		return nil, err
	}
	var list pauseList
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
		list.see(addr, tube, "", stats)
	}
	return list.of(addr), nil
}
