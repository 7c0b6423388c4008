package logtext

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible replaces each character without a glyph by \u{...}, and each byte that is
// part of no character by \xNN. If lines is true, newlines and tabs stay.
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

// Hidden reports whether a rune reorders, hides or imitates others. It excludes the
// joiners U+200C and U+200D, because scripts and emoji need them.
func Hidden(r rune) bool {
	if r < 0x7f {
		return r < 0x20
	}
	return r != 0x200c && r != 0x200d && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co)
}
