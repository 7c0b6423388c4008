package httpio

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/jobs"
)

// OnlyParameters refuses a query with parameters other than those named, or
// with one of them twice.
func OnlyParameters(q url.Values, known ...string) error {
	for _, name := range ParamNames(q) {
		switch {
		case len(known) == 0:
			return BadParameter(name, "is not known here; none is")
		case !slices.Contains(known, name):
			return BadParameter(name, "is not known here; "+and(known))
		case len(q[name]) != 1:
			return BadParameter(name, "is given more than once")
		}
	}
	return nil
}

const (
	MaxPage = 1000
	MaxText = 512 // bytes of a node's name, a label or a cursor
)

var ProgramName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func ParamNames(q url.Values) []string {
	keys := make([]string, 0, len(q))
	for name := range q {
		keys = append(keys, name)
	}
	slices.Sort(keys)
	return keys
}

// SetTime sets a time and returns what is wrong with the value, if anything.
func SetTime(t *time.Time, value string) string {
	var err error
	if *t, err = jobs.ParseTime(value, time.UTC); err != nil {
		return "is a date or a time (UTC if it does not say), such as 2026-11-22 or 2026-11-22T06:16:00Z"
	}
	return ""
}

// TextFault returns what is wrong with a short text.
func TextFault(s string) string {
	if s == "" || len(s) > MaxText || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
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
