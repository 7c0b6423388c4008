package program

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/panics"
)

// leaveTime is how long this node leaves the jobs of a program that cannot start
// here to other nodes.
const leaveTime = 30 * time.Second

// Config of a Registry. All fields are required.
type Config struct {
	// Folder has the programs. The path must have no symbolic links.
	Folder string
	// Tube returns the name of the run tube of a program.
	Tube func(program string) string
	// Every is how often the folder is scanned.
	Every time.Duration
	// OnChange gets the installed programs after every change of what is announced.
	OnChange func([]nodes.Program)
	Logger   *slog.Logger
}

// Registry knows the installed programs and notices when they change.
type Registry struct {
	cfg    Config
	rescan chan struct{} // asks for a scan now
	all    atomic.Bool   // the next scan checks what is unchanged, too

	scanning sync.Mutex // guards loader and faults
	loader   *loader
	faults   map[string]string

	mu  sync.Mutex
	now Snapshot
	// left has the programs whose jobs are left to other nodes, and until when.
	left map[string]time.Time
}

// Snapshot is what is installed between two changes.
type Snapshot struct {
	Programs map[string]*Program
	List     []nodes.Program // by name
	Tubes    []string        // from which the node takes jobs
	// Expired ends when the tubes are others than these.
	Expired context.Context
	expire  context.CancelFunc
}

// NewRegistry scans the folder once. The error is that of a folder that cannot be
// read.
func NewRegistry(cfg Config) (*Registry, error) {
	r := &Registry{
		cfg: cfg, rescan: make(chan struct{}, 1), loader: newLoader(cfg.Folder),
		faults: map[string]string{}, left: map[string]time.Time{},
	}
	r.now.Expired, r.now.expire = context.WithCancel(context.Background())
	_, err := r.scan()
	return r, err
}

// Current returns what is installed now.
func (r *Registry) Current() Snapshot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

// Run scans again and again until ctx ends, and reports changes to OnChange.
func (r *Registry) Run(ctx context.Context) {
	ticker := time.NewTicker(r.cfg.Every)
	defer ticker.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-r.rescan:
		}
		asked := r.all.Load()
		err := panics.Call(func() error {
			changed, err := r.scan()
			if changed {
				r.cfg.OnChange(r.Current().List)
			}
			return err
		})
		if err != nil && (asked || !failing) {
			r.cfg.Logger.Error("the programs folder cannot be read; what was installed stays", "err", err)
		}
		failing = err != nil
	}
}

// Rescan asks for a scan now. It does not wait for it.
func (r *Registry) Rescan() {
	select {
	case r.rescan <- struct{}{}:
	default:
	}
}

// CheckAll asks for a scan now that checks each program, also one that looks unchanged,
// and logs each fault again. It does not wait for it.
func (r *Registry) CheckAll() {
	r.all.Store(true)
	r.Rescan()
}

// scan reads the folder and reports whether what is announced has changed.
func (r *Registry) scan() (changed bool, err error) {
	r.scanning.Lock()
	defer r.scanning.Unlock()
	all := r.all.Swap(false)
	names, err := entries(r.loader.root)
	if err != nil {
		return false, err
	}
	old := r.Current().Programs
	found := make(map[string]*Program, len(names))
	faults := map[string]string{}
	for _, name := range names {
		if p := old[name]; !all && p != nil && p.unchanged() {
			found[name] = p
		} else if p, err := r.loader.load(name); err == nil {
			found[name] = p
		} else {
			faults[name] = err.Error()
		}
	}
	if maps.Equal(found, old) && maps.Equal(faults, r.faults) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.chooseTubes() // jobs that are left to other nodes may come back
		return false, nil
	}
	if all {
		r.faults = map[string]string{}
	}
	r.logChanges(found, faults)
	if all {
		r.cfg.Logger.Info("the programs were checked again", "programs", len(found), "unusable", len(faults))
	}
	r.loader.forget(found)
	return r.replace(found), nil
}

// logChanges logs which programs have become usable or unusable since the last scan.
func (r *Registry) logChanges(found map[string]*Program, faults map[string]string) {
	for name, fault := range faults {
		if r.faults[name] != fault {
			r.cfg.Logger.Warn("a program cannot be used", "program", name, "err", fault)
		}
	}
	for name := range r.faults {
		if found[name] != nil {
			r.cfg.Logger.Info("a program can be used again", "program", name)
		}
	}
	old := r.Current().Programs
	for name, p := range found {
		before := ""
		if old[name] != nil {
			before = old[name].About.Problem
		}
		switch problem := p.About.Problem; {
		case problem != "" && problem != before:
			r.cfg.Logger.Warn("a program cannot be started", "program", name, "err", problem)
		case problem == "" && before != "":
			r.cfg.Logger.Info("a program can be started again", "program", name)
		}
	}
	r.faults = faults
}

// replace makes programs the current snapshot and reports whether what is announced
// has changed.
func (r *Registry) replace(programs map[string]*Program) bool {
	var list []nodes.Program
	for _, name := range slices.Sorted(maps.Keys(programs)) {
		list = append(list, programs[name].About)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	same := slices.EqualFunc(list, r.now.List, sameProgram)
	r.now.Programs, r.now.List = programs, list
	r.chooseTubes()
	return !same
}

// LeaveToOthers takes the program's tube out of the snapshot for a while, so that
// other nodes run its jobs. It does so only if the program has a problem here.
func (r *Registry) LeaveToOthers(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left[name] = time.Now().Add(leaveTime)
	r.chooseTubes()
}

// chooseTubes chooses the tubes of the snapshot. If they are others than before it
// ends Expired. The caller holds mu.
func (r *Registry) chooseTubes() {
	now := time.Now()
	var tubes []string
	for _, p := range r.now.List {
		if until, left := r.left[p.Name]; left && p.Problem != "" && now.Before(until) {
			continue
		}
		delete(r.left, p.Name)
		tubes = append(tubes, r.cfg.Tube(p.Name))
	}
	if !slices.Equal(tubes, r.now.Tubes) {
		r.now.expire()
		r.now.Tubes = tubes
		r.now.Expired, r.now.expire = context.WithCancel(context.Background())
	}
}

func sameProgram(a, b nodes.Program) bool {
	return a.Name == b.Name && a.SHA256 == b.SHA256 && a.Problem == b.Problem && a.Description == b.Description && a.Weight == b.Weight && a.Checkpoint == b.Checkpoint &&
		string(a.Input) == string(b.Input) && string(a.Result) == string(b.Result)
}

// Verify returns p, or the program that has replaced it with the same executable. The
// error is what is wrong with the installation.
func (r *Registry) Verify(p *Program) (*Program, error) {
	if p.unchanged() {
		return p, nil
	}
	r.Rescan()
	r.scanning.Lock()
	defer r.scanning.Unlock()
	next, err := r.loader.load(p.About.Name)
	if err == nil && next.About.SHA256 != p.About.SHA256 {
		err = errors.New("it was replaced after the attempt had begun")
	}
	return next, err
}

// Reload loads a program and returns it. The snapshot stays as it is until the next
// scan.
func (r *Registry) Reload(name string) (*Program, error) {
	r.scanning.Lock()
	defer r.scanning.Unlock()
	return r.loader.load(name)
}
