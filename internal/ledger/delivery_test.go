package ledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger/engine"
	"github.com/runnerbean/runnerbean/internal/ledger/eventlog"
	"github.com/runnerbean/runnerbean/internal/ledger/nodes"
	"github.com/runnerbean/runnerbean/internal/ledger/outbox"
	"github.com/runnerbean/runnerbean/jobs"
)

const ownBase, farBase = "https://own.example", "https://far.example/results"

// newDeliveryFixture returns a fixture whose node serves ownBase.
func newDeliveryFixture(t *testing.T) *fixture {
	t.Helper()
	d := newFixture(t)
	d.sendTo("", ownBase)
	return d
}

func at(base string) func(*jobs.Job) {
	return func(j *jobs.Job) { j.Result.URL = base + "/" + j.ID }
}

func (d *fixture) delivery(id string) outbox.Delivery {
	d.t.Helper()
	v, err := d.Outbox.Delivery(d.t.Context(), id)
	d.must(err)
	return v
}

var qForgetTarget = engine.NewQuery("UPDATE jobs SET target = '?' WHERE id = ?")

// forgetTarget makes a job look as an older version has written it.
func (d *fixture) forgetTarget(id string) {
	d.t.Helper()
	d.write(qForgetTarget, id)
}

// TestEveryEndIsDelivered checks that the transaction that ends a job writes the
// delivery.
func TestEveryEndIsDelivered(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		end   func(d *fixture) string
		state jobs.State
	}{
		"succeeded": {func(d *fixture) string {
			id := d.add(at(farBase))
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			return id
		}, jobs.Succeeded},
		"failed": {func(d *fixture) string {
			id := d.add(at(farBase))
			d.end(id, d.run(id), jobs.Queued, jobs.OutcomeError)
			d.end(id, d.run(id), jobs.Failed, jobs.OutcomeTimeout)
			return id
		}, jobs.Failed},
		"cancelled in the queue": {func(d *fixture) string {
			id := d.add(at(farBase))
			_, err := d.act(VerbCancel, id)
			d.must(err)
			return id
		}, jobs.Cancelled},
		"expired": {func(d *fixture) string {
			id := d.add(func(j *jobs.Job) { at(farBase)(j); j.Expires = d.clock.now().Add(time.Second) })
			d.clock.advance(time.Minute)
			_, err := d.Expire(t.Context(), 0)
			d.must(err)
			return id
		}, jobs.Failed},
		"needs": {func(d *fixture) string {
			need := d.add(at(ownBase))
			id := d.add(func(j *jobs.Job) { at(farBase)(j); j.Needs = []string{need} })
			d.end(need, d.run(need), jobs.Failed, jobs.OutcomeFailed)
			return id
		}, jobs.Failed},
		"fault": {func(d *fixture) string {
			e := entry(at(farBase))
			e.Fault = &jobs.Error{Class: jobs.ClassDocument, Message: "bad"}
			d.put(e)
			return e.Job.ID
		}, jobs.Failed},
		"accepted by an older version": {func(d *fixture) string {
			id := d.add(at(farBase))
			d.forgetTarget(id)
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			return id
		}, jobs.Succeeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeliveryFixture(t)
			id := c.end(d)
			list := d.due(time.Minute)
			if len(list) != 1 || list[0].Kind != outbox.KindDelivery || list[0].ID != id || list[0].URL != farBase+"/"+id || list[0].State != c.state {
				t.Fatalf("due are %+v", list)
			}
			if v := d.delivery(id); v.State != api.DeliveryPending || v.URL != list[0].URL {
				t.Errorf("it stands as %+v", v)
			}
			d.must(d.Outbox.Done(t.Context(), list[0]))
			if v := d.delivery(id); v.State != api.DeliveryDone || !v.At.Equal(d.clock.now()) {
				t.Errorf("it stands as %+v", v)
			}
		})
	}
}

// TestNoDeliveryOfWhatIsServedHere checks results that this node or another one of the
// pool serves.
func TestNoDeliveryOfWhatIsServedHere(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n7", Instance: jobs.NewID(), BaseURL: "https://n7.example/r"}))
	for _, base := range []string{ownBase, "https://n7.example/r"} {
		id := d.add(at(base))
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	}
	old := d.add(at(ownBase))
	d.forgetTarget(old)
	d.end(old, d.run(old), jobs.Succeeded, jobs.OutcomeSucceeded)
	if list := d.due(time.Minute); len(list) > 0 {
		t.Errorf("due are %+v", list)
	}
	if v := d.delivery(old); v.State != "" {
		t.Errorf("it stands as %+v", v)
	}
}

// TestNewestEndIsDeliveredLast sends a failure while its job is retried and succeeds.
// The failure must not be sent after the success, nor together with it.
func TestNewestEndIsDeliveredLast(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	id := d.add(at(farBase))
	d.end(id, d.run(id), jobs.Failed, jobs.OutcomeFailed)
	first := d.due(time.Minute)[0]
	d.clock.advance(time.Second)
	_, err := d.act(VerbRetry, id)
	d.must(err)
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	if list := d.due(time.Minute); len(list) > 0 {
		t.Fatalf("two are sent together: %+v", list)
	}
	for name, settle := range map[string]func() error{
		"done":     func() error { return d.Outbox.Done(t.Context(), first) },
		"failed":   func() error { return d.Outbox.Failed(t.Context(), first, d.clock.now().Add(time.Hour), "503", false) },
		"given up": func() error { return d.Outbox.Failed(t.Context(), first, time.Time{}, "403", true) },
		"obsolete": func() error { return d.Outbox.Obsolete(t.Context(), first) },
	} {
		d.must(settle())
		list := d.due(time.Minute)
		if len(list) != 1 || list[0].State != jobs.Succeeded || list[0].Tries != 0 {
			t.Errorf("%s: then due are %+v", name, list)
		}
	}
	d.clock.advance(2 * time.Minute)
	last := d.due(time.Minute)[0]
	d.must(d.Outbox.Failed(t.Context(), last, time.Time{}, "far.example: 403", true))
	v := d.delivery(id)
	if v.State != api.DeliveryGivenUp || v.Message != "far.example: 403" || len(d.logPages(eventlog.Filter{Kind: eventlog.KindDeliveryGivenUp})) != 1 {
		t.Errorf("it stands as %+v", v)
	}
}

// TestRetryForgetsTheFormerDelivery checks that the state of a delivery is that of the
// newest end.
func TestRetryForgetsTheFormerDelivery(t *testing.T) {
	t.Parallel()
	for _, givenUp := range []bool{false, true} {
		d := newDeliveryFixture(t)
		id := d.add(at(farBase))
		d.end(id, d.run(id), jobs.Failed, jobs.OutcomeFailed)
		h := d.due(time.Minute)[0]
		if givenUp {
			d.must(d.Outbox.Failed(t.Context(), h, time.Time{}, "403", true))
		} else {
			d.must(d.Outbox.Done(t.Context(), h))
		}
		_, err := d.act(VerbRetry, id)
		d.must(err)
		if v := d.delivery(id); v != (outbox.Delivery{}) {
			t.Errorf("after the retry it stands as %+v", v)
		}
	}
}

func TestObsoleteDeliveryIsForgotten(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	id := d.add(at(farBase))
	d.end(id, d.run(id), jobs.Failed, jobs.OutcomeFailed)
	h := d.due(time.Minute)[0]
	_, err := d.act(VerbRetry, id)
	d.must(err)
	d.must(d.Outbox.Obsolete(t.Context(), h))
	if v := d.delivery(id); v.State != "" {
		t.Errorf("it stands as %+v", v)
	}
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	if list := d.due(time.Minute); len(list) != 1 || list[0].State != jobs.Succeeded {
		t.Errorf("due are %+v", list)
	}
}

// TestOwnURLsAreKnownForEver accepts jobs whose URLs are below the base URL of a node that
// is forgotten, of one that an older version has registered, and of a setting. A
// document makes no URL known.
func TestOwnURLsAreKnownForEver(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	d.Ledger.Outbox = outbox.New(d.access(), outbox.Config{BaseURL: ownBase, FormerURLs: []string{"https://FORMER.example:443/"}})
	d.must(d.do(t.Context(), &op{run: func(tx *txn) error { tx.outbox = d.Ledger.Outbox; return nil }}))
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n7", Instance: "i7", BaseURL: "HTTPS://N7.example/r/"}))
	d.must(d.Nodes.Leave(t.Context(), "i7"))
	d.clock.advance(30 * 24 * time.Hour)
	d.write(qOldNode)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n8", Instance: "i8", BaseURL: "https://n8.example"}))
	list, err := d.Nodes.List(t.Context())
	d.must(err)
	for _, n := range list {
		if n.Name == "n7" {
			t.Fatal("n7 is still listed")
		}
	}
	for _, base := range []string{"https://n7.example/r", "https://old.example", "https://former.example", "https://n8.example:443"} {
		id := d.add(at(base))
		d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	}
	if list := d.due(time.Minute); len(list) > 0 {
		t.Errorf("due are %+v", list)
	}
	for _, base := range []string{"https://n7.example/rest", "https://n8.example.evil", "http://n8.example", farBase} {
		for range 2 {
			id := d.add(at(base))
			d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
			if v := d.delivery(id); v.State != api.DeliveryPending {
				t.Errorf("the delivery to %s stands as %+v", base, v)
			}
		}
	}
}

var qOldNode = engine.NewQuery("INSERT INTO nodes (instance, name, base_url, version, slots, started, beat, left_at, programs) VALUES ('old', 'old', 'https://old.example/', 'v0', 1, 1, 1, 1, '')")

// TestBaseURLsAreBounded registers more base URLs than are kept. Those of listed nodes
// stay.
func TestBaseURLsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n1", Instance: "i1", BaseURL: ownBase}))
	d.must(d.do(t.Context(), &op{run: func(tx *txn) error {
		for i := range 1100 {
			if _, err := tx.Exec(qManyURLs, fmt.Sprintf("https://n%d.example", i), engine.Micros(tx.now)+int64(i)); err != nil {
				return err
			}
		}
		return nil
	}}))
	d.clock.advance(time.Hour)
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "i2", BaseURL: farBase}))
	d.wantRows("base_urls", 1000)
	list, err := d.Pool.BaseURLs(t.Context(), 3)
	d.must(err)
	slices.Sort(list[:2]) // at the same time
	if want := []string{farBase, ownBase, "https://n1099.example"}; !slices.Equal(list, want) {
		t.Errorf("the newest are %q, want %q", list, want)
	}
}

var qManyURLs = engine.NewQuery("INSERT INTO base_urls (url, seen) VALUES (?, ?)")

// TestUnneededDeliveryLeavesAnEvent drops a delivery to a URL that turned out to be the
// pool's own.
func TestUnneededDeliveryLeavesAnEvent(t *testing.T) {
	t.Parallel()
	d := newDeliveryFixture(t)
	id := d.add(at(farBase))
	d.end(id, d.run(id), jobs.Succeeded, jobs.OutcomeSucceeded)
	h := d.due(time.Minute)[0]
	if served, err := d.Outbox.Serves(t.Context(), h.URL); served || err != nil {
		t.Fatal(served, err)
	}
	d.must(d.Nodes.Register(t.Context(), nodes.Node{Name: "n2", Instance: "i2", BaseURL: farBase}))
	if served, err := d.Outbox.Serves(t.Context(), h.URL); !served || err != nil {
		t.Fatal(served, err)
	}
	d.must(d.Outbox.Unneeded(t.Context(), h))
	if v := d.delivery(id); v.State != "" || len(d.logPages(eventlog.Filter{Kind: eventlog.KindDeliveryOwnURL})) != 1 {
		t.Errorf("it stands as %+v", v)
	}
}
