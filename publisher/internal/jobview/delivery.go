package jobview

import (
	"fmt"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// Delivery is a sentence about the delivery of a result: Before, a time and After.
type Delivery struct {
	Before, After string
	At            text.Piece
}

// NewDelivery returns the sentence about a delivery; empty for none.
func NewDelivery(d *api.Delivery) (v Delivery) {
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
