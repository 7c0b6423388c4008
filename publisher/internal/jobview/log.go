package jobview

import (
	"strings"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// MaxLogShown is how many bytes of a log a page shows.
const MaxLogShown = 32 << 10

// logText returns the last lines of a log as a terminal shows them.
func logText(tail []byte) string {
	s := strings.TrimRight(logtext.Visible(logtext.Render(string(tail)), true), "\n")
	if len(s) <= MaxLogShown {
		return s
	}
	s = logtext.Last(s, MaxLogShown)
	if i := strings.IndexByte(s, '\n'); i >= 0 && i < len(s)-1 {
		s = s[i+1:]
	}
	return s
}

// asShown is the query that asks for a log as a terminal shows it.
const asShown = "rendered=true"
