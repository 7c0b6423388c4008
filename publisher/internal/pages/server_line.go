package pages

import (
	"strings"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// serverView is a beanstalkd server on the overview.
type serverView struct {
	Addr, Tone, State, Version                        string
	Ready, Reserved, Delayed, Buried, Overdue, Memory string
	ReservedTone, BuriedTone, OverdueTone             string
	Since                                             text.Piece
}

func serverOf(s api.Server) serverView {
	v := serverView{
		Addr: text.Line(s.Addr, text.NameLimit), Version: text.Line(s.Version, 20), Tone: "ok", State: "ok",
		Ready: text.Grouped(s.Ready), Reserved: text.Grouped(s.Reserved), Delayed: text.Grouped(s.Delayed), Buried: text.Grouped(s.Buried),
		Overdue: text.Grouped(s.Overdue), Memory: "–",
	}
	if s.Memory > 0 {
		v.Memory = text.Bytes(s.Memory)
	}
	if s.Buried > 0 {
		v.BuriedTone = "warn"
	}
	if s.Overdue > 0 {
		v.OverdueTone = "warn"
	}
	switch {
	case !s.OK:
		v.Tone, v.State = "bad", "does not answer"
		if s.Error != "" {
			v.State += ": " + text.Line(strings.TrimSpace(s.Error), 200)
		}
		v.Ready, v.Reserved, v.Delayed, v.Buried, v.Overdue, v.Memory = "–", "–", "–", "–", "–", "–"
	case s.Draining:
		v.Tone, v.State = "warn", "drains: takes no messages"
	}
	return v
}
