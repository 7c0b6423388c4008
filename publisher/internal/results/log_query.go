package results

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/runnerbean/runnerbean/internal/ledger"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// logQuery says which log, and how much of it.
type logQuery struct {
	attempt  int
	tail     int64 // bytes from the end; -1: all
	from     int64 // position in what the program wrote; -1: as stored
	rendered bool
}

func parseLogQuery(q url.Values) (logQuery, error) {
	out := logQuery{tail: -1, from: -1}
	for name, values := range q {
		n, err := strconv.ParseInt(values[0], 10, 64)
		valid := err == nil && len(values) == 1 && n >= 0
		switch {
		case name == "attempt" && valid && n >= 1 && n <= 1<<31:
			out.attempt = int(n)
		case name == "tail" && valid:
			out.tail = n
		case name == "from" && valid:
			out.from = n
		case name == "rendered" && len(values) == 1 && (values[0] == "true" || values[0] == "false"):
			out.rendered = values[0] == "true"
		case name == "attempt":
			return out, httpio.BadParameter(name, "is a number from 1, once")
		case name == "tail" || name == "from":
			return out, httpio.BadParameter(name, "is a number of bytes, once")
		case name == "rendered":
			return out, httpio.BadParameter(name, "is true or false, once")
		default:
			return out, httpio.BadParameter(name, "is not known here; attempt, tail, from and rendered are")
		}
	}
	if out.from >= 0 && (out.tail >= 0 || out.rendered) {
		return out, httpio.BadParameter("from", "goes with neither tail nor rendered")
	}
	return out, nil
}

// of returns the number of the attempt, or 0 before the first.
func (q logQuery) of(rec ledger.Record) (int, error) {
	if q.attempt == 0 {
		return rec.Attempt, nil
	}
	if q.attempt > rec.Attempt {
		return 0, httpio.Problem(http.StatusNotFound, "the job has had "+text.Plural(rec.Attempt, "attempt"))
	}
	return q.attempt, nil
}
