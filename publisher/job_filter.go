package publisher

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/runnerbean/runnerbean/internal/ledger/listing"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// parseFilter reads the query of a listing. Whatever it does not know, or
// finds twice, is an error that names the parameter.
func parseFilter(q url.Values) (listing.Filter, error) {
	var f listing.Filter
	for _, name := range httpio.ParamNames(q) {
		if len(q[name]) != 1 {
			return f, httpio.BadParameter(name, "is given more than once")
		}
		if complaint := setFilter(&f, name, q[name][0]); complaint != "" {
			return f, httpio.BadParameter(name, complaint)
		}
	}
	return f, nil
}

// setFilter sets one field and returns what is wrong with the value, if anything.
func setFilter(f *listing.Filter, name, value string) string {
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
		n, err := strconv.Atoi(value)
		f.Limit = n
		if err != nil || n < 1 || n > httpio.MaxPage {
			return "is a number from 1 to 1000"
		}
	default:
		return "is not known here; state, program, node, label, since, until, text, cursor and limit are"
	}
	return ""
}
