package nodes

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/pool"
)

const (
	maxPrograms = 4 << 20 // bytes of all programs of a node as JSON
	maxVitals   = 256 << 10
	maxSettings = 64 << 10
	// forgetNodes is how long an instance stays listed after its last heartbeat.
	forgetNodes = 7 * 24 * time.Hour
	// keepInstances is how many ended instances of one node stay listed.
	keepInstances = 20
)

var (
	qRegister = engine.NewQuery(`INSERT INTO nodes (instance, name, base_url, version, slots, started, beat, left_at, programs, home, lease, schema, settings)
		VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT (instance) DO UPDATE SET name = excluded.name,
		base_url = excluded.base_url, version = excluded.version, slots = excluded.slots, beat = excluded.beat,
		left_at = 0, programs = excluded.programs, home = excluded.home, lease = excluded.lease,
		schema = excluded.schema, settings = excluded.settings`)
	qForget = engine.NewQuery(`DELETE FROM nodes WHERE beat < ? AND left_at < ?
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND instance = nodes.instance)`)
	qForgetMany = engine.NewQuery(`DELETE FROM nodes WHERE name = ? AND left_at > 0
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND instance = nodes.instance)
		AND instance NOT IN (SELECT instance FROM nodes WHERE name = ? AND left_at > 0 ORDER BY left_at DESC, instance LIMIT ?)`)
	qNamesakes = engine.NewQuery("SELECT instance, beat, lease FROM nodes WHERE name = ? AND instance <> ? AND left_at = 0 AND (home <> ? OR home = '')")
	qSucceed   = engine.NewQuery("UPDATE nodes SET beat = 0, left_at = ? WHERE name = ? AND instance <> ? AND left_at = 0")
	qBeat      = engine.NewQuery("UPDATE nodes SET beat = ?, slots = ? WHERE instance = ? AND left_at = 0 RETURNING programs")
	qHas       = engine.NewQuery("UPDATE nodes SET programs = ? WHERE instance = ?")
	qKnow      = engine.NewQuery(`INSERT INTO programs (name, announced, sha256, description, input, result, weight, keep) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET announced = excluded.announced, sha256 = excluded.sha256,
		description = excluded.description, input = excluded.input, result = excluded.result, weight = excluded.weight, keep = excluded.keep`)
	qLeave  = engine.NewQuery("UPDATE nodes SET beat = 0, left_at = ? WHERE instance = ? AND left_at = 0")
	qVitals = engine.NewQuery(`INSERT INTO vitals (instance, vitals) VALUES (?, ?)
		ON CONFLICT (instance) DO UPDATE SET vitals = excluded.vitals`)
	qForgetVitals = engine.NewQuery("DELETE FROM vitals WHERE NOT EXISTS (SELECT 1 FROM nodes WHERE nodes.instance = vitals.instance)")
)

// Register announces an instance of a node and starts its heartbeat. Older instances of
// the node are declared dead. It returns a *TwinError if an instance of the same name with
// another home is or may be alive; it succeeds once that heartbeat has not changed for
// the lease of that instance. It deletes instances that ended a week ago, and all but the newest ended
// ones of the node.
func (r *Registry) Register(ctx context.Context, n Node) error {
	programs, err := programsText(n.Programs)
	if err != nil {
		return fmt.Errorf("ledger: register: %w", err)
	}
	n.Name, n.Instance, n.Home = engine.Clean(n.Name, engine.MaxName), engine.Clean(n.Instance, engine.MaxName), engine.Clean(n.Home, engine.MaxName)
	err = r.ledger.Do(ctx, engine.Op{Name: "register", Weight: 1, Run: func(t engine.Tx) error { return r.register(t, &n, programs) }})
	return engine.Wrap("register", err)
}

// succeed declares the older instances of a node dead, unless one may be alive.
func (r *Registry) succeed(t engine.Tx, n *Node) error {
	var twin error
	err := t.Each(qNamesakes, []any{n.Name, n.Instance, n.Home}, func(row engine.Row) error {
		var other string
		var beat, lease int64
		err := row.Scan(&other, &beat, &lease)
		if err == nil && beat != 0 && r.live.alive(other, beat, lease, r.live.clock()) {
			twin = &TwinError{Node: n.Name, Instance: other, Lease: r.live.leaseOf(lease)}
		}
		return err
	})
	if err == nil {
		err = twin
	}
	if err == nil {
		_, err = t.Exec(qSucceed, engine.Micros(t.Now()), n.Name, n.Instance)
	}
	if err == nil {
		_, err = t.Exec(qForgetMany, n.Name, n.Name, keepInstances)
	}
	return err
}

func (r *Registry) register(t engine.Tx, n *Node, programs string) error {
	if err := pool.RememberURLs(t, n.BaseURL); err != nil {
		return err
	}
	if err := r.succeed(t, n); err != nil {
		return err
	}
	old := engine.Micros(t.Now().Add(-forgetNodes))
	if _, err := t.Exec(qForget, old, old); err != nil {
		return err
	}
	if _, err := t.Exec(qForgetVitals); err != nil {
		return err
	}
	settings, err := settingsText(n.Settings)
	if err != nil {
		return err
	}
	started := n.Started
	if started.IsZero() {
		started = t.Now()
	}
	_, err = t.Exec(qRegister, n.Instance, n.Name, engine.Clean(n.BaseURL, engine.MaxReason),
		engine.Clean(n.Version, engine.MaxName), n.Slots, engine.Micros(started), engine.Micros(t.Now()), programs, n.Home,
		r.live.lease.Microseconds(), r.schema, settings)
	if err != nil {
		return err
	}
	r.live.wrote(n.Instance, engine.Micros(t.Now()))
	return r.announce(t, n.Programs)
}

// announce records programs for the life of the ledger.
func (r *Registry) announce(t engine.Tx, list []Program) error {
	for _, p := range list {
		_, err := t.Exec(qKnow, engine.Clean(p.Name, engine.MaxName), engine.Micros(t.Now()), engine.Clean(p.SHA256, engine.MaxName),
			engine.Clean(p.Description, engine.MaxReason), string(p.Input), string(p.Result), p.Weight, p.Keep)
		if err == nil {
			err = r.announced(t, engine.Clean(p.Name, engine.MaxName))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settingsText returns the settings of a node as JSON, or "" for none.
func settingsText(settings map[string]string) (string, error) {
	if settings == nil {
		return "", nil
	}
	b, err := json.Marshal(settings)
	if err == nil && len(b) > maxSettings {
		err = fmt.Errorf("settings: %w", engine.ErrTooBig)
	}
	return string(b), err
}

func programsText(list []Program) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "", err
	}
	if len(b) > maxPrograms {
		return "", fmt.Errorf("programs: %w", engine.ErrTooBig)
	}
	return string(b), nil
}

// Beat renews the heartbeat of an instance and replaces its programs and slots. vitals
// is the JSON of an api.Vitals; nil keeps the old ones. It returns ErrInstance if the
// instance is not registered or has left. It returns engine.ErrTooBig for vitals above
// 256 KiB, but renews the heartbeat. It is not synced to the disk.
func (r *Registry) Beat(ctx context.Context, instance string, programs []Program, slots int, vitals []byte) error {
	text, err := programsText(programs)
	dropped := len(vitals) > maxVitals
	if dropped {
		vitals = nil
	}
	if err == nil {
		defer r.live.write()()
		err = r.ledger.Do(ctx, engine.Op{Name: "beat", Weight: 1, Soft: true, Run: func(t engine.Tx) error {
			return r.beat(t, instance, programs, text, slots, vitals)
		}})
	}
	if err == nil && dropped {
		err = fmt.Errorf("vitals: %w", engine.ErrTooBig)
	}
	return engine.Wrap("beat", err)
}

func (r *Registry) beat(t engine.Tx, instance string, programs []Program, text string, slots int, vitals []byte) error {
	var before string
	found, err := t.Change(qBeat, []any{engine.Micros(t.Now()), slots, instance}, &before)
	if err == nil && !found {
		err = ErrInstance
	}
	if err == nil {
		r.live.wrote(instance, engine.Micros(t.Now()))
	}
	if err == nil && vitals != nil {
		_, err = t.Exec(qVitals, instance, vitals)
	}
	if err != nil || before == text {
		return err
	}
	if _, err := t.Exec(qHas, text, instance); err != nil {
		return err
	}
	return r.announce(t, programs)
}

// Leave records that an instance has ended in good order. The next Recover takes its
// running jobs back.
func (r *Registry) Leave(ctx context.Context, instance string) error {
	err := r.ledger.Do(ctx, engine.Op{Name: "leave", Weight: 1, Run: func(t engine.Tx) error {
		_, err := t.Exec(qLeave, engine.Micros(t.Now()), instance)
		return err
	}})
	return engine.Wrap("leave", err)
}
