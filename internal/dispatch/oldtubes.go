package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// maxOldTubes and oldBatch bound what one look takes from the run tubes of an
	// older version on one server: the reconciler waits for it.
	maxOldTubes = 100
	oldBatch    = 1000
	// maxKicked is how many buried messages of a tube are made ready, and how many
	// delayed ones.
	maxKicked = 5000
	// maxHint is more than a message on a run tube has, in bytes.
	maxHint = 4 << 10
	// otherLedgerPause is how long a tube is left alone after a look that found
	// messages of other ledgers only.
	otherLedgerPause = 5 * time.Minute
)

// oldTubes empties the run tubes of schema version 3 and before, which nodes of
// all ledgers read. The jobs of this ledger have messages on tubes of their own,
// or get them; those of others are left, because a node of an older version may
// wait for them.
type oldTubes struct {
	*Dispatcher
	known map[string]oldTube // by address and name
}

type oldTube struct {
	kicked bool      // what was delayed or buried when it was first seen
	next   time.Time // when to look again
}

// empty deletes what is ours on the old tubes among those of a server. What is
// more than a batch is left for the next look.
func (o *oldTubes) empty(ctx context.Context, addr string, tubes []string) {
	var old []string
	for _, tube := range tubes {
		program, ok := strings.CutPrefix(tube, queue.RunTubes(o.cfg.Prefix))
		if ok && !strings.Contains(program, "/") && len(old) < maxOldTubes {
			old = append(old, tube)
		}
	}
	o.forget(addr, old)
	room := oldBatch
	for _, tube := range old {
		state := o.known[addr+" "+tube]
		if room == 0 || time.Now().Before(state.next) {
			continue
		}
		taken, err := o.emptyOne(ctx, addr, tube, room, &state)
		room -= taken
		o.warn(ctx, "the run tube "+tube+" of an older version is not emptied yet", err)
		o.known[addr+" "+tube] = state
	}
}

// forget keeps of one server only what is known of tubes that are there.
func (o *oldTubes) forget(addr string, tubes []string) {
	kept := map[string]oldTube{}
	for name, state := range o.known {
		if !strings.HasPrefix(name, addr+" ") {
			kept[name] = state
		}
	}
	for _, tube := range tubes {
		kept[addr+" "+tube] = o.known[addr+" "+tube]
	}
	o.known = kept
}

// emptyOne takes at most room messages from one tube, and says how many it took.
func (o *oldTubes) emptyOne(ctx context.Context, addr, tube string, room int, state *oldTube) (taken int, err error) {
	cfg := o.cfg.Queue
	cfg.Addrs, cfg.MaxBody = []string{addr}, maxHint
	consumer, err := queue.NewConsumer(cfg)
	if err != nil {
		return 0, err
	}
	defer consumer.Close()
	if !state.kicked {
		if err := o.kickAll(ctx, addr, tube); err != nil {
			return 0, err
		}
		state.kicked = true
	}
	batch, err := o.reserveReady(ctx, consumer, addr, tube, room)
	if err != nil || len(batch) == 0 {
		return 0, err
	}
	deleted, err := o.putAway(ctx, batch)
	if deleted > 0 {
		o.log.Info("messages of an older version are deleted; their jobs have others", "tube", tube, "beanstalkd", addr, "messages", deleted)
	} else if err == nil {
		state.next = time.Now().Add(otherLedgerPause)
	}
	return len(batch), err
}

// kickAll makes ready what is delayed or buried.
func (o *oldTubes) kickAll(ctx context.Context, addr, tube string) error {
	for range 2 { // the buried ones, then the delayed ones
		if err := o.producer.Kick(ctx, addr, tube, maxKicked); err != nil {
			return err
		}
	}
	return nil
}

// reserveReady reserves what is ready, up to room, and waits for nothing else.
func (o *oldTubes) reserveReady(ctx context.Context, consumer *queue.Consumer, addr, tube string, room int) ([]*queue.Delivery, error) {
	stats, err := o.producer.TubeStats(ctx, addr, tube)
	ready := int(min(integer(stats["current-jobs-ready"]), int64(room)))
	if err != nil || ready == 0 {
		return nil, err
	}
	moment, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	batch, err := consumer.ReserveBatch(moment, []string{tube}, ready)
	if err != nil && moment.Err() != nil {
		return nil, ctx.Err() // others were quicker
	}
	return batch, err
}

// putAway deletes the messages of jobs that this ledger knows, releases the
// others, and says how many it has deleted.
func (o *oldTubes) putAway(ctx context.Context, batch []*queue.Delivery) (deleted int, err error) {
	for _, m := range batch {
		known, err := o.knows(ctx, m.Body)
		switch {
		case err != nil:
			return deleted, err // the end of the connection gives back the rest
		case known:
			err = m.Delete(ctx)
			deleted++
		default:
			err = m.Return(ctx, 0)
		}
		if err != nil && !errors.Is(err, queue.ErrGone) {
			return deleted, err
		}
	}
	return deleted, nil
}

// knows reports whether a message is about a job of this ledger.
func (o *oldTubes) knows(ctx context.Context, body []byte) (bool, error) {
	var hint struct{ ID string }
	if json.Unmarshal(body, &hint) != nil || hint.ID == "" {
		return false, nil
	}
	_, err := o.cfg.Ledger.Get(ctx, hint.ID)
	if errors.Is(err, ledger.ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}
