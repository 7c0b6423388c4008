package publisher

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/jobs"
)

const (
	maxPage = 1000
	maxText = 512 // bytes of a node's name, a label or a cursor
)

var programName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// parseFilter reads the query of a listing. Whatever it does not know, or
// finds twice, is an error that names the parameter.
func parseFilter(q url.Values) (ledger.Filter, error) {
	var f ledger.Filter
	for _, name := range paramNames(q) {
		if len(q[name]) != 1 {
			return f, badParameter(name, "is given more than once")
		}
		if complaint := setFilter(&f, name, q[name][0]); complaint != "" {
			return f, badParameter(name, complaint)
		}
	}
	return f, nil
}

func paramNames(q url.Values) []string {
	keys := make([]string, 0, len(q))
	for name := range q {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}

// setFilter sets one field and returns what is wrong with the value, if anything.
func setFilter(f *ledger.Filter, name, value string) string {
	switch name {
	case "state":
		f.State = jobs.State(value)
		if !slices.Contains(jobs.States, f.State) {
			return "is one of waiting, queued, running, succeeded, failed, cancelled"
		}
	case "program":
		f.Program = value
		if !programName.MatchString(value) {
			return "is a program's name: letters a to z, digits, dot, underscore, hyphen"
		}
	case "node":
		f.Node = value
		return textFault(value)
	case "label":
		f.Label = value
		if key, _, ok := strings.Cut(value, "="); !ok || key == "" {
			return "is written key=value"
		}
		return textFault(value)
	case "since":
		return setTime(&f.Since, value)
	case "until":
		return setTime(&f.Until, value)
	case "text":
		f.Text = value
		return textFault(value)
	case "cursor":
		f.Cursor = value
		return textFault(value)
	case "limit":
		n, err := strconv.Atoi(value)
		f.Limit = n
		if err != nil || n < 1 || n > maxPage {
			return "is a number from 1 to 1000"
		}
	default:
		return "is not known here; state, program, node, label, since, until, text, cursor and limit are"
	}
	return ""
}

// setTime sets a time and returns what is wrong with the value, if anything.
func setTime(t *time.Time, value string) string {
	var err error
	if *t, err = jobs.ParseTime(value, time.UTC); err != nil {
		return "is a date or a time (UTC if it does not say), such as 2026-11-22 or 2026-11-22T06:16:00Z"
	}
	return ""
}

// textFault returns what is wrong with a short text.
func textFault(s string) string {
	if s == "" || len(s) > maxText || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "is a text of 1 to 512 bytes"
	}
	return ""
}

// and lists the parameters that there are.
func and(known []string) string {
	if len(known) == 1 {
		return known[0] + " is"
	}
	last := len(known) - 1
	return strings.Join(known[:last], ", ") + " and " + known[last] + " are"
}
