// Package text writes names, times, durations, sizes and counts for people: on
// pages, in messages and in the terminal.
package text

import (
	"net/url"
	"strings"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// Capitalize returns s with a capital first letter.
func Capitalize(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// Line returns at most limit runes of an untrusted string, for one line of a
// page or a message. It spells out control, bidirectional and invisible
// characters, so that the string cannot look like another one.
func Line(s string, limit int) string {
	return logtext.Visible(Clip(s, limit), false)
}

// Lines does what [Line] does, and keeps line breaks.
func Lines(s string, limit int) string { return logtext.Visible(Clip(s, limit), true) }

// Clip returns the first limit runes of s, followed by "…" where s is longer.
func Clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n == limit {
			return s[:i] + "…"
		}
		n++
	}
	return s
}

// LinkLimit is the largest length of a link, in bytes.
const LinkLimit = 4096

// Link returns s where a page may link to it: an absolute http or https URL
// without a user, or a path on this server. It returns "" for anything else.
func Link(s string) string {
	u, err := url.Parse(s[:min(len(s), LinkLimit+1)])
	if err != nil || u.User != nil || len(s) > LinkLimit {
		return ""
	}
	web := (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
	local := u.Scheme == "" && u.Host == "" && strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.Contains(s, `\`)
	if !web && !local {
		return ""
	}
	return u.String()
}

// NameLimit is how many runes of a name are shown.
const NameLimit = 60
