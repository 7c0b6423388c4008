package httpio

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// MaxPage is how many entries a page of a list may have.
	MaxPage = 1000
	// MaxText is the length in bytes of the longest name, label or cursor.
	MaxText = 512
)

// ProgramName matches the name of a program.
var ProgramName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ReadQuery calls set with each parameter of a query. It returns a problem where set
// returns a complaint, or where a parameter is given twice.
func ReadQuery(q url.Values, set func(name, value string) (complaint string)) error {
	for _, name := range paramNames(q) {
		if len(q[name]) != 1 {
			return BadParameter(name, "is given more than once")
		}
		if complaint := set(name, q[name][0]); complaint != "" {
			return BadParameter(name, complaint)
		}
	}
	return nil
}

// OnlyParameters returns a problem where a query has other parameters than those known, or
// one of them twice.
func OnlyParameters(q url.Values, known ...string) error {
	for _, name := range paramNames(q) {
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

func paramNames(q url.Values) []string { return slices.Sorted(maps.Keys(q)) }

// SetTime reads a date or a time into t, and returns what is wrong with the value or "".
func SetTime(t *time.Time, value string) string {
	var err error
	if *t, err = text.ParseTime(value, time.UTC); err != nil {
		return "is a date or a time (UTC if it does not say), such as 2026-11-22 or 2026-11-22T06:16:00Z"
	}
	return ""
}

// SetLimit reads the length of a page into n, and returns what is wrong with the value or
// "".
func SetLimit(n *int, value string) string {
	var err error
	if *n, err = strconv.Atoi(value); err != nil || *n < 1 || *n > MaxPage {
		return "is a number from 1 to 1000"
	}
	return ""
}

// TextFault returns what is wrong with a short text, or "".
func TextFault(s string) string {
	if s == "" || len(s) > MaxText || !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
		return "is a text of 1 to 512 bytes"
	}
	return ""
}

// and joins the names of known parameters for a sentence.
func and(known []string) string {
	if len(known) == 1 {
		return known[0] + " is"
	}
	last := len(known) - 1
	return strings.Join(known[:last], ", ") + " and " + known[last] + " are"
}
