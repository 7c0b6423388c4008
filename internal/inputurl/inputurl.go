// Package inputurl has the URLs of inputs that no server has: those of files in the store of the
// nodes, and in the package of a batch.
package inputurl

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	storedScheme   = "sha256:"
	packagedScheme = "package:"

	// maxName and maxPart bound the name of a file of a package and each part of it, in bytes.
	maxName = 1024
	maxPart = 255
)

// OfStore returns the URL of the file in the store with a SHA-256 digest.
func OfStore(digest string) string { return storedScheme + digest }

// Stored returns the digest in the URL of a file in the store.
func Stored(url string) (digest string, ok bool) { return strings.CutPrefix(url, storedScheme) }

// Packaged returns the name in the URL of a file of a package. It may have values of a frame in
// it.
func Packaged(url string) (name string, ok bool) { return strings.CutPrefix(url, packagedScheme) }

// IsWeb reports whether a URL is neither.
func IsWeb(url string) bool {
	_, stored := Stored(url)
	_, packaged := Packaged(url)
	return !stored && !packaged
}

// ValidText reports whether a URL that is not IsWeb has the form that the schema of jobs demands.
// most bounds the characters of one.
func ValidText(url string, most int) bool {
	if digest, ok := Stored(url); ok {
		return ValidDigest(digest)
	}
	name, _ := Packaged(url)
	return name != "" && utf8.ValidString(name) && utf8.RuneCountInString(url) <= most && strings.IndexFunc(name, odd) < 0
}

// ValidDigest reports whether s is a SHA-256 digest: 64 lower-case hexadecimal digits.
func ValidDigest(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }

// odd reports whether a name may not have a character.
func odd(r rune) bool { return r == '\\' || r < 0x20 || 0x7f <= r && r <= 0x9f }

// BadName returns why a file of a package may not have a name, or "". Names are relative paths.
func BadName(name string) string {
	switch {
	case name == "":
		return "has no name"
	case len(name) > maxName:
		return fmt.Sprintf("has a name of more than %d bytes", maxName)
	case strings.HasPrefix(name, "/"):
		return "has an absolute path: the names of files must be relative"
	case !utf8.ValidString(name):
		return "has a name that is not UTF-8"
	case strings.Contains(name, `\`):
		return "has a backslash in its name"
	case strings.IndexFunc(name, odd) >= 0:
		return "has a control character in its name"
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "..":
			return `has ".." in its name, which leads out of the package`
		case part == "" || part == ".":
			return `has an empty part or "." in its name`
		case len(part) > maxPart:
			return fmt.Sprintf("has a part of its name of more than %d bytes", maxPart)
		}
	}
	return ""
}
