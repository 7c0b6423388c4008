package nodes

import (
	"context"
	"encoding/json"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const maxNodes = 1000 // in one answer

var (
	qNodes = engine.NewQuery(`SELECT nodes.instance, name, base_url, version, slots, started, beat, left_at, programs, home, lease, settings, vitals
		FROM nodes LEFT JOIN vitals ON vitals.instance = nodes.instance ORDER BY name, started DESC, nodes.instance LIMIT ?`)
	qPrograms = engine.NewQuery("SELECT name, sha256, description, input, result, weight FROM programs ORDER BY name")
)

// List returns the known instances by name, newest first; at most 1,000.
func (r *Registry) List(ctx context.Context) (list []Node, err error) {
	defer r.ledger.Observe("nodes", time.Now(), &err)
	err = r.ledger.Each(ctx, qNodes, []any{maxNodes}, func(row engine.Row) error {
		var n Node
		var started, beat, left, lease int64
		var programs, settings string
		if err := row.Scan(&n.Instance, &n.Name, &n.BaseURL, &n.Version, &n.Slots, &started, &beat, &left, &programs, &n.Home, &lease, &settings, (*[]byte)(&n.Vitals)); err != nil {
			return err
		}
		n.Lease = r.live.leaseOf(lease)
		n.Started, n.Beat, n.Left = engine.FromMicros(started), engine.FromMicros(beat), engine.FromMicros(left)
		if left == 0 {
			r.live.sight(&n)
		}
		if settings != "" {
			if err := json.Unmarshal([]byte(settings), &n.Settings); err != nil {
				return err
			}
		}
		list = append(list, n)
		if programs == "" {
			return nil
		}
		return json.Unmarshal([]byte(programs), &list[len(list)-1].Programs)
	})
	return list, engine.Wrap("nodes", err)
}

// Programs returns every program that a node ever announced, by name, as announced last.
func (r *Registry) Programs(ctx context.Context) (list []Program, err error) {
	defer r.ledger.Observe("programs", time.Now(), &err)
	err = r.ledger.Each(ctx, qPrograms, nil, func(row engine.Row) error {
		var p Program
		var input, result string
		err := row.Scan(&p.Name, &p.SHA256, &p.Description, &input, &result, &p.Weight)
		if input != "" {
			p.Input = json.RawMessage(input)
		}
		if result != "" {
			p.Result = json.RawMessage(result)
		}
		list = append(list, p)
		return err
	})
	return list, engine.Wrap("programs", err)
}
