package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/runnerbean/runnerbean/cmd/runnerbean/internal/terminal"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/internal/timespan"
)

// pastTimeHelp explains the values of a pastTime.
const pastTimeHelp = "a date or time such as 2026-11-22 or 2026-11-22T06:16:00Z, or how long ago, such as 2h or 90d"

// pastTime is a flag for a time in the past: a date, a time, or how long ago. A time
// without a zone is in the zone of this machine.
type pastTime struct{ time.Time }

func (w *pastTime) Set(text string) error {
	at, err := moment(text, time.Now(), -1)
	w.Time = at.UTC()
	return err
}

func (w *pastTime) String() string {
	if w.IsZero() {
		return ""
	}
	return w.Format(time.RFC3339)
}

func (w *pastTime) Type() string { return "time" }

// moment reads a date, a time, or a time span from now. sign is -1 for spans into the
// past and 1 for spans into the future.
func moment(s string, now time.Time, sign time.Duration) (time.Time, error) {
	if d, err := timespan.Parse(s); err == nil {
		if d < 0 {
			return time.Time{}, fmt.Errorf("%q is negative: write the time span alone, such as 2h or 90d", s)
		}
		return now.Add(sign * d), nil
	}
	at, err := text.ParseTime(s, time.Local)
	if err != nil {
		return at, fmt.Errorf("%q is neither a time span such as 2h, 90d or 1w nor a date or time such as 2026-11-22 or 2026-11-22T06:16:00Z", terminal.Safe(terminal.Shorten(s, 70)))
	}
	return at, nil
}

// spanFlag is a flag for a time span.
type spanFlag time.Duration

func (s *spanFlag) Set(text string) error {
	d, err := timespan.Parse(text)
	*s = spanFlag(d)
	return err
}

func (s *spanFlag) String() string { return time.Duration(*s).String() }
func (s *spanFlag) Type() string   { return "duration" }

// maxExpiry is the longest time until something expires.
const maxExpiry = 100 * 365 * 24 * time.Hour

// parseExpiry reads when something expires: a time span from now, a date or a time. It
// returns the zero time for "".
func parseExpiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	end, err := moment(text, now, 1)
	if err == nil && (!end.After(now) || end.Sub(now) > maxExpiry) {
		err = errors.New("it must be in the future, at most 36500d ahead")
	}
	if err != nil {
		return time.Time{}, err
	}
	return end, nil
}
