package pages

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
	"github.com/runnerbean/runnerbean/publisher/internal/operations"
)

// filterView is the form that filters the list of jobs.
type filterView struct {
	State, Program, Node, Label, Since, Until, Text string
	States, Programs, Nodes                         []string
	// Hidden carries the filters through the form that acts on jobs.
	Hidden []field
	// Fault says what is wrong with the filters; then no job is listed.
	Fault string
	// More tells whether the closed part of the form holds a value.
	More   bool
	Active bool
}

// filterNames are the names of the filters, the same as in the API.
var filterNames = []string{"state", "program", "node", "label", "since", "until", "text"}

// formFilter returns the filters of a query, without the empty fields that a form
// sends too. Times without a zone are in UTC, as the page says.
func formFilter(query url.Values) url.Values {
	q := url.Values{}
	for _, name := range filterNames {
		value := strings.TrimSpace(query.Get(name))
		if value == "" || len(value) > httpio.MaxText {
			continue
		}
		if name == "since" || name == "until" {
			value = momentOf(value)
		}
		q.Set(name, value)
	}
	return q
}

// momentOf returns the time of a form as the API takes it, and other values as they
// are.
func momentOf(s string) string {
	if t, err := text.ParseTime(s, time.UTC); err == nil {
		return t.UTC().Format(time.RFC3339)
	}
	return s
}

// readFormFilter returns the filter, or says what is wrong with it.
func readFormFilter(q url.Values) (f listing.Filter, fault string) {
	for _, name := range filterNames {
		if value := q.Get(name); value != "" {
			if complaint := operations.SetFilter(&f, name, value); complaint != "" {
				return f, fmt.Sprintf("%s “%s” %s.", formNames[name], text.Line(value, text.NameLimit), strings.TrimSuffix(complaint, "."))
			}
		}
	}
	return f, ""
}

var formNames = map[string]string{
	"state": "State", "program": "Program", "node": "Node", "label": "Label", "since": "Accepted since", "until": "Accepted until", "text": "Text",
}

func viewFilter(q url.Values) filterView {
	get := func(name string) string { return text.Line(q.Get(name), httpio.MaxText) }
	v := filterView{
		State: get("state"), Program: get("program"), Node: get("node"), Label: get("label"),
		Since: formTime(q.Get("since")), Until: formTime(q.Get("until")), Text: get("text"), Active: len(q) > 0,
	}
	for _, s := range jobs.States {
		v.States = append(v.States, string(s))
	}
	v.More = v.Program+v.Node+v.Label+v.Since+v.Until != ""
	for i, value := range []string{v.State, v.Program, v.Node, v.Label, v.Since, v.Until, v.Text} {
		if value != "" {
			v.Hidden = append(v.Hidden, field{filterNames[i], value})
		}
	}
	return v
}

// formTime returns a time as a field of a form holds it, and "" for other values.
func formTime(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04")
}

// field is one hidden field of a form.
type field struct{ Name, Value string }
