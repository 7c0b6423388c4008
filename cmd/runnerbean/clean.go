package main

import (
	"strings"
	"unicode"
)

// clean makes text from a job or a program harmless on a terminal: control
// characters (ANSI sequences begin with one) and marks that change the
// direction of writing are shown as a replacement character.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '�'
		}
		return r
	}, text)
}

// cleanLines is clean for a text of several lines: line ends and tabs stay.
func cleanLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return '�'
		}
		return r
	}, text)
}
