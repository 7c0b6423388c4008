package validate

import (
	"errors"
	"unicode/utf8"
)

// match reports whether the pattern is found in text.
func (r *run) match(p *pattern, text []byte) bool {
	if len(text)*p.size <= atOnce {
		r.tick(len(text) * p.size / 64)
		return p.Match(text)
	}
	return p.MatchReader(&runes{run: r, text: text, cost: p.size/64 + 1})
}

// runes reads text and looks at the context meanwhile.
type runes struct {
	run  *run
	text []byte
	cost int // of a character
}

// ReadRune implements io.RuneReader; 0 bytes are the end.
func (r *runes) ReadRune() (c rune, size int, err error) {
	if len(r.text) == 0 {
		return 0, 0, errEnd
	}
	r.run.tick(r.cost)
	c, size = utf8.DecodeRune(r.text)
	r.text = r.text[size:]
	return c, size, nil
}

var errEnd = errors.New("the end")
