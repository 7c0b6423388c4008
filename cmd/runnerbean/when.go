package main

import (
	"errors"
	"time"
)

// when is a flag for a moment: a time (RFC 3339), or a duration ago.
type when struct{ time.Time }

func (w *when) Set(text string) error {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		w.Time = time.Now().Add(-ago).UTC()
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return errors.New("a time such as 2026-11-22T06:16:00Z or a duration such as 2h is wanted")
	}
	w.Time = at.UTC()
	return nil
}

func (w *when) String() string {
	if w.IsZero() {
		return ""
	}
	return w.Format(time.RFC3339)
}

func (w *when) Type() string { return "time" }
