package jobs

import (
	"bytes"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// The limits and the words of internal/jobdoc/schema/job.json. A property test there
// compares the two.
const (
	maxFiles     = 1000
	maxNeeds     = 10_000
	maxLabels    = 64
	maxProgram   = 64
	maxLabelName = 63
	maxLabel     = 256
	maxURL       = 4096
	maxFileName  = 255 // the longest that common file systems allow, in bytes
	needsFolder  = "needs"
	maxFileSize  = 1<<53 - 1
	maxAttempts  = 100
	minRepeat    = Duration(time.Second)
	maxRepeat    = 366 * Duration(day)
	maxTimeout   = 30 * Duration(day) // of one attempt, and of needs
	maxDepth     = 64                 // of objects and arrays in the document
	dataDepth    = 2                  // of those around input.data

	wantID       = "a lower-case UUID of version 4 or 7"
	wantNeed     = "the id of a job, or its result URL"
	wantProgram  = "the name of an installed program: 1 to 64 lower-case letters, digits, '.', '_' or '-', the first a letter or digit"
	wantLabel    = "1 to 63 lower-case letters, digits, '.', '_' or '-', the first a letter or digit"
	wantURL      = "an absolute http or https URL without user name or password, of at most 4096 characters"
	wantSource   = wantURL + `, or "sha256:" and the digest of a file in the store`
	wantDigest   = "a SHA-256 digest: 64 lower-case hexadecimal digits"
	wantFileName = "a plain file name without slashes or control characters, of at most 255 bytes"
	wantTrace    = `a W3C trace context, such as "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"`
	wantTimeout  = `a time span such as "90s", "1h30m", "2d" or "1w", above zero and at most 30 days`
	wantRepeat   = `a time span such as "10m", "1h30m" or "1d", from 1 second to 366 days`
	wantNeeds    = wantTimeout + `, or "forever"`
	wantFailed   = `"fail" or "run"`
	wantKeep     = `a time span above zero such as "30d", or "forever", or an object with those for "succeeded", "failed" and "cancelled"`
	wantTime     = "in the years 0 to 9999, in a zone of whole minutes"
	wantUTF8     = "valid UTF-8"
)

// validNeed reports whether s names a job by its id or its result URL.
func validNeed(s string) bool {
	id := NeedID(s)
	server := strings.TrimSuffix(s, id)
	return ValidID(id) && utf8.ValidString(server) && (server == "" || resultServer.MatchString(server))
}

// resultServer is what stands before the id in a result URL.
var resultServer = regexp.MustCompile(`^https?://[^\s?#@]+/$`)

// validName reports whether s is a name of lower-case letters, digits, '.', '_' and
// '-', of which the first is a letter or digit.
func validName(s string, most int) bool {
	if s == "" || len(s) > most || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}

// validDigest reports whether s is a SHA-256 digest.
func validDigest(s string) bool { return len(s) == 64 && hexadecimal(s) }

// hexadecimal reports whether s has only lower-case hexadecimal digits.
func hexadecimal(s string) bool {
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

// validTrace reports whether s is a W3C trace context.
func validTrace(s string) bool {
	if len(s) != 55 || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, trace, parent, flags := s[:2], s[3:35], s[36:52], s[53:]
	return hexadecimal(version) && hexadecimal(trace) && hexadecimal(parent) && hexadecimal(flags) &&
		version != "ff" && strings.Trim(trace, "0") != "" && strings.Trim(parent, "0") != ""
}

// urlText reports whether s may be an http or https URL, by its text.
func urlText(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	if !ok || rest == "" || len(s) > maxURL && utf8.RuneCountInString(s) > maxURL {
		return false
	}
	return !strings.ContainsAny(rest, " \t\n\f\r") && utf8.ValidString(s)
}

// plainURL reports whether s is an http or https URL of which nothing needs to be parsed.
// Most URLs are, and package net/url takes as long for one as the rest of a job's check.
func plainURL(s string) bool {
	rest, ok := strings.CutPrefix(s, "https://")
	if !ok {
		rest, ok = strings.CutPrefix(s, "http://")
	}
	host, path, _ := strings.Cut(rest, "/")
	host, port, _ := strings.Cut(host, ":")
	return ok && host != "" && plain(host, "-.") && strings.Trim(port, "0123456789") == "" && plain(path, "-._~/")
}

// plain reports whether s has only letters, digits and some more characters.
func plain(s, more string) bool {
	for i := range len(s) {
		if c := s[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(more, c) >= 0) {
			return false
		}
	}
	return true
}

// validFileName reports whether s has no slashes and control characters.
func validFileName(s string) bool {
	odd := func(r rune) bool { return r == '/' || r == '\\' || r < 0x20 || 0x7f <= r && r <= 0x9f }
	return s != "." && s != ".." && strings.IndexFunc(s, odd) < 0 && utf8.ValidString(s)
}

// validTime reports whether RFC 3339 can write t.
func validTime(t time.Time) bool {
	const most = 24 * 60 * 60
	_, east := t.Zone()
	return t.IsZero() || 0 <= t.Year() && t.Year() <= 9999 && east%60 == 0 && -most < east && east < most
}

// trimSpace removes what JSON takes as white space.
func trimSpace(data []byte) []byte { return bytes.Trim(data, " \t\r\n") }

// NewID returns the id of a new job: a UUID of version 7 (RFC 9562), so that ids
// sort by the time at which they were made.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// ValidID reports whether id is a lower-case UUID of version 4 or 7, as the schema
// demands.
func ValidID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i := range len(id) {
		if !validIDByte(i, id[i]) {
			return false
		}
	}
	return true
}

// validIDByte reports whether c may stand at place i of an id.
func validIDByte(i int, c byte) bool {
	switch i {
	case 8, 13, 18, 23:
		return c == '-'
	case 14: // version
		return c == '4' || c == '7'
	case 19: // variant
		return c == '8' || c == '9' || c == 'a' || c == 'b'
	}
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f'
}

// NeedID returns the id of a job that an entry of [Job.Needs] names, by its id or its result
// URL.
func NeedID(need string) string { return need[strings.LastIndexByte(need, '/')+1:] }
