package jobs

import (
	"fmt"
	"net/http"
	"strings"
	"unicode"
)

// Problem is an error answer, application/problem+json (RFC 9457).
type Problem struct {
	Type     string `json:"type,omitempty"`
	Title    string `json:"title"`
	Status   int    `json:"status"`
	Detail   string `json:"detail,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Pointer is the JSON pointer of the fault in the document that was sent.
	Pointer string `json:"pointer,omitempty"`
	// Missing are the SHA-256 digests of the files that the document names and that the store
	// does not have.
	Missing []string `json:"missing,omitempty"`
}

func (p *Problem) Error() string {
	s := fmt.Sprintf("%d %s", p.Status, p.Title)
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	if p.Pointer != "" {
		s += " (at " + p.Pointer + ")"
	}
	return s
}

// Is reports whether the status means [ErrUnknown] or [ErrConflict].
func (p *Problem) Is(target error) bool {
	switch target {
	case ErrUnknown:
		return p.Status == http.StatusNotFound || p.Status == http.StatusGone
	case ErrConflict:
		return p.Status == http.StatusConflict
	}
	return false
}

// maxProblemText is the length of the longest text of a problem, in bytes.
const maxProblemText = 2000

// shorten makes each text one line of bounded length: a log may hold it.
func (p *Problem) shorten() {
	for _, text := range p.texts() {
		s := strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, *text)
		if len(s) > maxProblemText {
			s = strings.ToValidUTF8(s[:maxProblemText], "") + "…"
		}
		*text = s
	}
}

// conceal removes a secret that the server has sent back.
func (p *Problem) conceal(secret string) {
	if secret == "" {
		return
	}
	for _, text := range p.texts() {
		*text = strings.ReplaceAll(*text, secret, "…")
	}
}

func (p *Problem) texts() []*string {
	return []*string{&p.Type, &p.Title, &p.Detail, &p.Instance, &p.Pointer}
}
