package dispatch

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/queue"
)

const (
	// maxOldTubes and oldBatch bound what one look takes from the run tubes of an
	// older version on one server, because the reconciler waits for it.
	maxOldTubes = 100
	oldBatch    = 1000
	// maxKicked is the largest number of buried messages of a tube that are made
	// ready, and of delayed ones.
	maxKicked = 5000
	// maxMessage is larger than any message on a run tube, in bytes.
	maxMessage = 4 << 10
	// otherLedgerPause is how long a tube is left alone after a look that found
	// only messages of other ledgers.
	otherLedgerPause = 5 * time.Minute
)

// oldRunTubes empties the run tubes of schema version 3 and before, which the nodes of
// all ledgers share. The jobs of this ledger have messages on tubes of their own, or
// get them. The messages of other ledgers stay, because a node of an older version may
// wait for them.
type oldRunTubes struct {
	queue    queue.Config
	prefix   string
	ledger   *ledger.Ledger
	producer *queue.Producer
	events   *eventRecorder
	known    map[string]oldRunTube // by address and name
}

type oldRunTube struct {
	kicked bool      // its delayed and buried messages were made ready
	next   time.Time // when to look again
}

// empty deletes our messages on the old tubes of a server, given all its tubes. It
// leaves the messages beyond one batch for the next look.
func (o *oldRunTubes) empty(ctx context.Context, addr string, tubes []string) {
	var old []string
	for _, tube := range tubes {
		program, ok := strings.CutPrefix(tube, queue.RunTubes(o.prefix))
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
		o.events.warn(ctx, "the run tube "+tube+" of an older version is not emptied yet", err)
		o.known[addr+" "+tube] = state
	}
}

// forget drops the entries of a server's tubes that are not in tubes.
func (o *oldRunTubes) forget(addr string, tubes []string) {
	kept := map[string]oldRunTube{}
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

// emptyOne takes at most room messages from one tube, and returns how many it took.
func (o *oldRunTubes) emptyOne(ctx context.Context, addr, tube string, room int, state *oldRunTube) (taken int, err error) {
	cfg := o.queue
	cfg.Addrs, cfg.MaxBody = []string{addr}, maxMessage
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
	deleted, err := o.deleteOwn(ctx, batch)
	if deleted > 0 {
		o.events.log.Info("messages of an older version are deleted; their jobs have others", "tube", tube, "beanstalkd", addr, "messages", deleted)
	} else if err == nil {
		state.next = time.Now().Add(otherLedgerPause)
	}
	return len(batch), err
}

// kickAll makes the delayed and buried messages ready. One kick command handles
// buried messages only, if there are any (beanstalkd's protocol.txt).
func (o *oldRunTubes) kickAll(ctx context.Context, addr, tube string) error {
	for range 2 {
		if err := o.producer.Kick(ctx, addr, tube, maxKicked); err != nil {
			return err
		}
	}
	return nil
}

// reserveReady reserves up to room ready messages. It does not wait for more.
func (o *oldRunTubes) reserveReady(ctx context.Context, consumer *queue.Consumer, addr, tube string, room int) ([]*queue.Delivery, error) {
	stats, err := o.producer.TubeStats(ctx, addr, tube)
	ready := int(min(integer(stats["current-jobs-ready"]), int64(room)))
	if err != nil || ready == 0 {
		return nil, err
	}
	moment, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	batch, err := consumer.ReserveBatch(moment, []string{tube}, ready)
	if err != nil && moment.Err() != nil {
		return nil, ctx.Err() // others have taken them
	}
	return batch, err
}

// deleteOwn deletes the messages of jobs that this ledger knows, releases the
// others, and returns how many it deleted.
func (o *oldRunTubes) deleteOwn(ctx context.Context, batch []*queue.Delivery) (deleted int, err error) {
	for _, m := range batch {
		known, err := o.knows(ctx, m.Body)
		switch {
		case err != nil:
			return deleted, err // the end of the connection releases the rest
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
func (o *oldRunTubes) knows(ctx context.Context, body []byte) (bool, error) {
	id := messageJob(body)
	if id == "" {
		return false, nil
	}
	_, err := o.ledger.Get(ctx, id)
	if errors.Is(err, ledger.ErrUnknown) {
		return false, nil
	}
	return err == nil, err
}
