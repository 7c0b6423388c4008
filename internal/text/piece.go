package text

import (
	"fmt"
	"time"
)

// Piece is a part of a sentence on a page. Where ISO is set, the page shows Text
// in a time element, and scripts replace it by the reader's local time.
type Piece struct {
	Text string
	ISO  string // the moment in RFC 3339; empty where Text is no moment
}

// Words returns a formatted piece that is no moment.
func Words(format string, args ...any) Piece { return Piece{Text: fmt.Sprintf(format, args...)} }

// Moment returns the piece for a moment, written in UTC.
func Moment(t time.Time) Piece {
	t = t.UTC()
	return Piece{Text: t.Format("2 Jan 2006, 15:04:05") + " UTC", ISO: t.Format(time.RFC3339Nano)}
}

// Brief returns a moment in few characters: the time of day if it is today, else
// the date.
func (p Piece) Brief() string {
	t, err := time.Parse(time.RFC3339Nano, p.ISO)
	switch {
	case err != nil:
		return p.Text
	case t.Format(time.DateOnly) == time.Now().UTC().Format(time.DateOnly):
		return t.Format("15:04:05") + " UTC"
	}
	return t.Format("2 Jan 2006")
}
