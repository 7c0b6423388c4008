package publisher

import (
	"strings"

	"github.com/runnerbean/runnerbean/internal/logtext"
)

// maxLogShown is how much of a log a page holds, in bytes.
const maxLogShown = 32 << 10

// logText is the end of a log, as a terminal shows it, in whole lines.
func logText(tail []byte) string {
	s := strings.TrimRight(logtext.Visible(logtext.Render(string(tail)), true), "\n")
	if len(s) <= maxLogShown {
		return s
	}
	s = logtext.Last(s, maxLogShown)
	if i := strings.IndexByte(s, '\n'); i >= 0 && i < len(s)-1 {
		s = s[i+1:]
	}
	return s
}
