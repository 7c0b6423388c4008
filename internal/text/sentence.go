package text

import (
	"fmt"
	"strings"

	"github.com/runnerbean/runnerbean/jobs"
)

// Some joins the first limit entries of a list, and says how many more there are.
func Some(list []string, limit int) string {
	shown := list[:min(len(list), limit)]
	joined := strings.Join(shown, ", ")
	if more := len(list) - len(shown); more > 0 {
		joined += fmt.Sprintf(" and %d more", more)
	}
	return joined
}

// JoinClauses joins two clauses with a semicolon. Either may be empty.
func JoinClauses(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// IsAre returns s, which counts n things, with the right form of "be".
func IsAre(s string, n int) string {
	if n == 1 {
		return s + " is"
	}
	return s + " are"
}

// ShortID returns the beginning and the end of a job's id, for lists. It returns
// other strings as [Line] does.
func ShortID(id string) string {
	if len(id) != 36 || !jobs.ValidID(id) {
		return Line(id, NameLimit)
	}
	return id[:8] + "…" + id[32:]
}
