package sqlite

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

const (
	// oldLease is the lease of a node that has not recorded one. Such a node writes a
	// heartbeat every 5 s at least.
	oldLease = 20 * time.Second
	// Versions of the schema from which nodes record their data folder, and from which
	// they record their schema and lease, and leave for an upgrade by themselves.
	schemaOfHome, schemaOfFollowers = 2, 5
	maxInstances                    = 1000 // that are looked at
)

// readInstances returns the instances that have not left, by name, of a ledger with a
// version of the schema.
func readInstances(ctx context.Context, q querier, version int) (list []engine.Instance, err error) {
	columns := []string{"instance", "name", "version", "beat", "''", "0", "0"}
	if version >= schemaOfHome {
		columns[4] = "home"
	}
	if version >= schemaOfFollowers {
		columns[5], columns[6] = "schema", "lease"
	}
	rows, err := q.QueryContext(ctx, fmt.Sprintf("SELECT %s FROM nodes WHERE left_at = 0 ORDER BY beat DESC LIMIT %d", strings.Join(columns, ", "), maxInstances))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var i engine.Instance
		var beat, lease int64
		if err := rows.Scan(&i.ID, &i.Name, &i.Version, &beat, &i.Home, &i.Schema, &lease); err != nil {
			return nil, err
		}
		i.Beat, i.Lease = time.UnixMicro(beat).UTC(), time.Duration(lease)*time.Microsecond
		list = append(list, i)
	}
	slices.SortStableFunc(list, func(a, b engine.Instance) int { return strings.Compare(a.Name, b.Name) })
	return list, rows.Err()
}

// sighting is when the present value of a heartbeat was first seen.
type sighting struct {
	beat    time.Time
	at      time.Time
	changed bool // another value was seen before
}

// observer decides which instances are alive. The age of a heartbeat is measured with the
// clock of this process, because the clocks of other nodes may be hours off.
type observer struct {
	home  string        // instances of this data folder are dead
	lease time.Duration // of instances that have not recorded one
	seen  map[string]sighting
}

// pending returns the instances that are alive, or of which that is not known yet.
func (o *observer) pending(list []engine.Instance, now time.Time) (alive, unknown []engine.Instance) {
	for _, i := range list {
		s, known := o.seen[i.ID]
		if !known || !s.beat.Equal(i.Beat) {
			s = sighting{beat: i.Beat, at: now, changed: known}
			o.seen[i.ID] = s
		}
		lease := i.Lease
		if lease <= 0 {
			lease = max(o.lease, oldLease)
		}
		switch {
		case i.Home != "" && i.Home == o.home, now.Sub(s.at) >= lease:
		case s.changed:
			alive = append(alive, i)
		default:
			unknown = append(unknown, i)
		}
	}
	return alive, unknown
}

// names returns a list of instances for a sentence.
func names(list []engine.Instance) string {
	const most = 5
	var text []string
	for _, i := range list[:min(most, len(list))] {
		text = append(text, i.String())
	}
	if more := len(list) - most; more > 0 {
		text = append(text, fmt.Sprintf("%d more", more))
	}
	return strings.Join(text, ", ")
}
