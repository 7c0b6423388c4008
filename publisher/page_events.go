package publisher

import (
	"net/url"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

// happening is an event with all words chosen.
type happening struct {
	ID, Kind, Tone, Message string
	At                      piece
	Job, JobPath            string
	Node, NodePath          string
	By                      string
}

// maxEventRunes bounds what is shown of an event's message.
const maxEventRunes = 400

func eventOf(root string, e jobs.Event) happening {
	v := happening{
		ID: show(e.ID, maxNameRunes), Kind: show(strings.ReplaceAll(e.Kind, "-", " "), maxNameRunes), Tone: eventTone(e.Kind),
		Message: show(e.Message, maxEventRunes), At: stamp(e.At), By: show(e.By, maxNameRunes),
		Job: shortID(e.Job), Node: show(e.Node, maxNameRunes),
	}
	if e.Job != "" {
		v.JobPath = link(root + "/jobs/" + url.PathEscape(e.Job))
	}
	if e.Node != "" {
		v.NodePath = link(root + "/nodes/" + url.PathEscape(e.Node))
	}
	return v
}

// eventTone colours what a person should look at.
func eventTone(kind string) string {
	switch kind {
	case ledger.KindFailed, ledger.KindLost, ledger.KindFault, ledger.KindConflict:
		return "bad"
	case ledger.KindRetrying, ledger.KindExpired, ledger.KindInterrupted:
		return "warn"
	}
	return ""
}
