package nodes

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
)

// Control is what persons have set for a node name. It outlives the instances of the
// node.
type Control struct {
	// Slots overrides the setting of the node. Nil means the setting.
	Slots *int
	// Paused means that the node takes no work and stops running programs.
	Paused bool
	// Since is when Slots or Paused changed last. By is the person.
	Since  time.Time
	By     string
	Reason string
	// Updated changes with every change and never goes back.
	Updated time.Time
}

const (
	controlColumns = "node, slots, paused, since, asker, reason, updated"
	noSlots        = -1
)

var (
	qControls = engine.NewQuery("SELECT " + controlColumns + " FROM controls ORDER BY node LIMIT 1000")
	qControl  = engine.NewQuery("SELECT " + controlColumns + " FROM controls WHERE node = ?")
	qSetting  = engine.NewQuery("INSERT INTO controls (" + controlColumns + `) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (node) DO UPDATE SET slots = excluded.slots, paused = excluded.paused, since = excluded.since,
		asker = excluded.asker, reason = excluded.reason, updated = excluded.updated`)
)

// Controls returns the controls by node name.
func (r *Registry) Controls(ctx context.Context) (_ map[string]Control, err error) {
	defer r.ledger.Observe("controls", time.Now(), &err)
	m := map[string]Control{}
	err = r.ledger.Each(ctx, qControls, nil, func(row engine.Row) error {
		var c controlRow
		err := row.Scan(c.dest()...)
		m[c.node] = c.control()
		return err
	})
	return m, engine.Wrap("controls", err)
}

// SetControl changes the control of a node, writes an event for each difference, and
// returns the new control. change sets Slots, Paused and Reason only, and may be called
// more than once. by is the person. It returns engine.ErrChanged if expect is set and
// differs from Updated.
func (r *Registry) SetControl(ctx context.Context, node string, change func(*Control), by string, expect *time.Time) (c Control, err error) {
	node, by = engine.Clean(node, engine.MaxName), engine.Clean(by, engine.MaxName)
	err = r.ledger.Do(ctx, engine.Op{Name: "control", Weight: 1, Run: func(t engine.Tx) error {
		c, err = setControl(t, node, change, by, expect)
		return err
	}})
	if err != nil {
		return Control{}, engine.Wrap("control", err)
	}
	return c, nil
}

func setControl(t engine.Tx, node string, change func(*Control), by string, expect *time.Time) (Control, error) {
	var row controlRow
	if _, err := t.Row(qControl, []any{node}, row.dest()...); err != nil {
		return Control{}, err
	}
	old := row.control()
	if expect != nil && !expect.Equal(old.Updated) {
		return old, engine.ErrChanged
	}
	c := row.control()
	change(&c)
	c.Reason, c.By = engine.Clean(c.Reason, engine.MaxMessage), by
	if c.Slots != nil && *c.Slots < 0 {
		c.Slots = nil
	}
	what := old.differences(&c)
	if len(what) > 0 {
		c.Since = t.Now()
	}
	// Two versions must differ even if the clock jumps back.
	c.Updated = engine.Later(t.Now(), old.Updated.Add(time.Microsecond))
	_, err := t.Exec(qSetting, node, c.slots(), engine.Bool(c.Paused), engine.Micros(c.Since), c.By, c.Reason, engine.Micros(c.Updated))
	for _, w := range what {
		t.Note(by, w.kind, "", node, sentence(w.text, c.Reason))
	}
	return c, err
}

// setting is one difference between two controls.
type setting struct{ kind, text string }

func (c *Control) differences(n *Control) (list []setting) {
	switch {
	case n.Paused && !c.Paused:
		list = append(list, setting{eventlog.KindPaused, "node takes no work, and its running programs stand still"})
	case c.Paused && !n.Paused:
		list = append(list, setting{eventlog.KindResumed, "node goes on"})
	}
	switch {
	case n.slots() == c.slots():
	case n.Slots == nil:
		list = append(list, setting{eventlog.KindSlots, "slots as in the node's own setting"})
	default:
		list = append(list, setting{eventlog.KindSlots, fmt.Sprintf("slots set to %d", *n.Slots)})
	}
	return list
}

func (c *Control) slots() int {
	if c.Slots == nil {
		return noSlots
	}
	return *c.Slots
}

// sentence returns a text with the reason that a person gave, if any.
func sentence(text, reason string) string {
	if reason = strings.TrimSpace(reason); reason == "" {
		return text
	}
	return text + ": " + reason
}

// controlRow is the scan target of controlColumns.
type controlRow struct {
	Control
	node           string
	number         int
	since, updated int64
}

func (r *controlRow) dest() []any {
	r.number = noSlots
	return []any{&r.node, &r.number, &r.Paused, &r.since, &r.By, &r.Reason, &r.updated}
}

func (r *controlRow) control() Control {
	c := r.Control
	c.Since, c.Updated = engine.FromMicros(r.since), engine.FromMicros(r.updated)
	if r.number != noSlots {
		c.Slots = new(r.number)
	}
	return c
}
