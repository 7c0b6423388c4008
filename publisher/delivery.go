package publisher

import (
	"context"
	"fmt"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/outbound"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// EndDocument is the document of a job that has ended without a result, as its result
// URL answers.
func EndDocument(rec ledger.Record) ([]byte, error) {
	return httpio.Marshal(summary(rec, rec.Finished))
}

// delivery is how it stands with a job's delivery; nil where there is none.
func (p *Publisher) delivery(ctx context.Context, id string) (*api.Delivery, error) {
	d, err := p.cfg.Ledger.Delivery(ctx, id)
	if err != nil || d.State == "" {
		return nil, err
	}
	return &api.Delivery{
		State: d.State, URL: outbound.Redact(d.URL), At: d.At, Next: d.Next, Tries: d.Tries, Message: d.Message,
	}, nil
}

// deliveryView is what a page says of a delivery: a time between two texts.
type deliveryView struct {
	Before, After string
	At            text.Piece
}

func viewDelivery(d *api.Delivery) (v deliveryView) {
	if d == nil {
		return v
	}
	where := text.Line(d.URL, 200)
	if v.After = "."; d.Message != "" {
		v.After = ": " + text.Line(d.Message, 400)
	}
	switch {
	case d.State == api.DeliveryDone:
		v.Before, v.At = "The result was put to "+where+" at ", text.Moment(d.At)
	case d.State == api.DeliveryGivenUp:
		v.Before, v.At = "The result could not be put to "+where+". That was given up at ", text.Moment(d.At)
	case d.Tries == 0:
		v.Before = "The result is about to be put to " + where
	default:
		v.Before, v.At = fmt.Sprintf("The result is not at %s yet; %d tries have failed. The next one is at ", where, d.Tries), text.Moment(d.Next)
	}
	return v
}
