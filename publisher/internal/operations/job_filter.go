package operations

import (
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// SetFilter sets the field of a filter that a query parameter names, and returns what
// is wrong with the value or "".
func SetFilter(f *listing.Filter, name, value string) string {
	switch name {
	case "state":
		f.State = jobs.State(value)
		if !slices.Contains(jobs.States, f.State) {
			return "is one of waiting, queued, running, succeeded, failed, cancelled"
		}
	case "program":
		f.Program = value
		if !httpio.ProgramName.MatchString(value) {
			return "is a program's name: letters a to z, digits, dot, underscore, hyphen"
		}
	case "node":
		f.Node = value
		return httpio.TextFault(value)
	case "label":
		f.Label = value
		if key, _, ok := strings.Cut(value, "="); !ok || key == "" {
			return "is written key=value"
		}
		return httpio.TextFault(value)
	case "since":
		return httpio.SetTime(&f.Since, value)
	case "until":
		return httpio.SetTime(&f.Until, value)
	case "text":
		f.Text = value
		return httpio.TextFault(value)
	case "cursor":
		f.Cursor = value
		return httpio.TextFault(value)
	case "limit":
		return httpio.SetLimit(&f.Limit, value)
	default:
		return "is not known here; state, program, node, label, since, until, text, cursor and limit are"
	}
	return ""
}
