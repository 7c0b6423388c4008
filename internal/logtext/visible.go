package logtext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible spells out what has no glyph of its own as \u{...}, and bytes that are
// part of no character as \xNN. With lines, newlines and tabs stay.
func Visible(s string, lines bool) string {
	shy := func(r rune) bool { return Hidden(r) && !(lines && (r == '\n' || r == '\t')) }
	if utf8.ValidString(s) && strings.IndexFunc(s, shy) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case shy(r):
			fmt.Fprintf(&b, `\u{%x}`, r)
		default:
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// Hidden reports runes that reorder, hide or imitate. The joiners U+200C and
// U+200D stay: scripts and emoji need them.
func Hidden(r rune) bool {
	if r < 0x7f {
		return r < 0x20
	}
	return r != 0x200c && r != 0x200d && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
