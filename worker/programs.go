package worker

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/panics"
	"github.com/runnerbean/runnerbean/internal/queue"
)

// scanEvery is how often the programs folder is looked at by default.
const scanEvery = time.Second

// maxPrograms bounds what is looked at in one programs folder.
const maxPrograms = 4096

// registry knows the installed programs, and notices when they change.
type registry struct {
	prefix   string
	ledger   string // its id
	every    time.Duration
	log      *slog.Logger
	onChange func([]ledger.Program)
	poke     chan struct{} // asks for a scan before its time

	scanning sync.Mutex // guards loader and faults
	loader   *loader
	faults   map[string]string

	mu  sync.Mutex
	now edition
	// left holds until when the jobs of programs are left to other nodes.
	left map[string]time.Time
}

// leaveTime is for how long the jobs of a program that cannot start here are
// left to other nodes, until it is looked at again.
const leaveTime = 30 * time.Second

// edition is what is installed between two changes.
type edition struct {
	programs map[string]*program
	list     []ledger.Program
	tubes    []string
	// fresh ends when the tubes are others than these.
	fresh  context.Context
	expire context.CancelFunc
}

func newRegistry(cfg Config) (*registry, error) {
	r := &registry{
		prefix: cfg.Prefix, ledger: cfg.Ledger.ID(), every: cfg.scanEvery, log: cfg.Logger, onChange: cfg.OnPrograms,
		poke: make(chan struct{}, 1), loader: newLoader(cfg.Programs),
		faults: map[string]string{}, left: map[string]time.Time{},
	}
	r.now.fresh, r.now.expire = context.WithCancel(context.Background())
	_, err := r.scan()
	return r, err
}

// current is what is installed now.
func (r *registry) current() edition {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// run scans until ctx ends.
func (r *registry) run(ctx context.Context) {
	ticker := time.NewTicker(r.every)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.poke:
		}
		err := panics.Call(r.round)
		if err != nil && !failing {
			r.log.Error("the programs folder cannot be read; what was installed stays", "err", err)
		}
		failing = err != nil
	}
}

// round scans, and says what has changed.
func (r *registry) round() error {
	changed, err := r.scan()
	if changed {
		r.onChange(r.current().list)
	}
	return err
}

// recheck asks for a scan now, because a program is not what it was.
func (r *registry) recheck() {
	select {
	case r.poke <- struct{}{}:
	default:
	}
}

// scan looks at the folder and reports whether anything that is announced has
// changed.
func (r *registry) scan() (changed bool, err error) {
	r.scanning.Lock()
	defer r.scanning.Unlock()
	names, err := entries(r.loader.root)
	if err != nil {
		return false, err
	}
	old := r.current().programs
	found := make(map[string]*program, len(names))
	faults := map[string]string{}
	for _, name := range names {
		if p := old[name]; p != nil && p.unchanged() {
			found[name] = p
		} else if p, err := r.loader.load(name); err == nil {
			found[name] = p
		} else {
			faults[name] = err.Error()
		}
	}
	if maps.Equal(found, old) && maps.Equal(faults, r.faults) {
		r.watchTubes()
		return false, nil
	}
	r.tell(found, faults)
	r.loader.forget(found)
	return r.replace(found), nil
}

// tell logs what has become good or bad since the last scan.
func (r *registry) tell(found map[string]*program, faults map[string]string) {
	for name, fault := range faults {
		if r.faults[name] != fault {
			r.log.Warn("a program cannot be used", "program", name, "err", fault)
		}
	}
	for name := range r.faults {
		if found[name] != nil {
			r.log.Info("a program can be used again", "program", name)
		}
	}
	old := r.current().programs
	for name, p := range found {
		before := ""
		if old[name] != nil {
			before = old[name].about.Problem
		}
		switch problem := p.about.Problem; {
		case problem != "" && problem != before:
			r.log.Warn("a program cannot be started", "program", name, "err", problem)
		case problem == "" && before != "":
			r.log.Info("a program can be started again", "program", name)
		}
	}
	r.faults = faults
}

// replace makes programs the current edition, and wakes the slots if there are
// other tubes to watch.
func (r *registry) replace(programs map[string]*program) bool {
	var list []ledger.Program
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		list = append(list, programs[name].about)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	same := slices.EqualFunc(list, r.now.list, sameProgram)
	r.now.programs, r.now.list = programs, list
	r.retube()
	return !same
}

// watchTubes is for tubes that are to be watched again because time has passed.
func (r *registry) watchTubes() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.retube()
}

// leave has this node leave the jobs of a program to other nodes for a while.
func (r *registry) leave(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left[name] = time.Now().Add(leaveTime)
	r.retube()
}

// retube chooses the tubes to watch, and wakes the slots if they are others than
// before. The caller holds mu.
func (r *registry) retube() {
	now := time.Now()
	var tubes []string
	for _, p := range r.now.list {
		if until, left := r.left[p.Name]; left && p.Problem != "" && now.Before(until) {
			continue
		}
		delete(r.left, p.Name)
		tubes = append(tubes, queue.RunTube(r.prefix, r.ledger, p.Name))
	}
	if !slices.Equal(tubes, r.now.tubes) {
		r.now.expire()
		r.now.tubes = tubes
		r.now.fresh, r.now.expire = context.WithCancel(context.Background())
	}
}

func sameProgram(a, b ledger.Program) bool {
	return a.Name == b.Name && a.SHA256 == b.SHA256 && a.Problem == b.Problem && a.Description == b.Description &&
		string(a.Input) == string(b.Input) && string(a.Result) == string(b.Result)
}

// entries are the names in a programs folder, hidden ones left out.
func entries(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.Readdirnames(maxPrograms)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	names := slices.DeleteFunc(all, func(name string) bool { return strings.HasPrefix(name, ".") })
	slices.Sort(names)
	return names, nil
}

// Installed is one entry of a programs folder.
type Installed struct {
	Name    string
	Program ledger.Program
	// Err says why the program cannot be used; nil for a good one.
	Err error
}

// Inspect looks at every program in a folder, by name. The error is for a
// folder that cannot be read.
func Inspect(dir string) ([]Installed, error) {
	dir, err := folder(dir)
	if err != nil {
		return nil, err
	}
	names, err := entries(dir)
	if err != nil {
		return nil, err
	}
	loader := newLoader(dir)
	list := make([]Installed, 0, len(names))
	for _, name := range names {
		entry := Installed{Name: name}
		p, err := loader.load(name)
		if entry.Err = err; err == nil {
			entry.Program = p.about
		}
		list = append(list, entry)
	}
	return list, nil
}

// verify returns p, or what has replaced it, if the executable is still the
// one whose digest the attempt has recorded. The error says what is wrong with
// the installation.
func (r *registry) verify(p *program) (*program, error) {
	if p.unchanged() {
		return p, nil
	}
	r.recheck()
	r.scanning.Lock()
	defer r.scanning.Unlock()
	next, err := r.loader.load(p.about.Name)
	if err == nil && next.about.SHA256 != p.about.SHA256 {
		err = errors.New("it was replaced after the attempt had begun")
	}
	return next, err
}

// look loads a program anew, whatever is known of it.
func (r *registry) look(name string) (*program, error) {
	r.scanning.Lock()
	defer r.scanning.Unlock()
	return r.loader.load(name)
}
