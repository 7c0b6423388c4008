package frames

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/httpio"
)

// Query is what a page asks of the frames of a batch.
type Query struct {
	State       jobs.State // only frames in this state; empty for all
	First, Last int        // only frames with these numbers and those between
	ByTime      bool       // the slowest frames as a table
}

// Names of the parameters of a Query.
const (
	paramState = "state"
	paramFirst = "first"
	paramLast  = "last"
	paramSort  = "sort"
)

// ReadQuery reads the query of a page. It leaves out parameters that are not of a Query. The error
// is a problem with status 400.
func ReadQuery(values url.Values) (Query, error) {
	q := Query{Last: jobs.MaxFrame}
	err := httpio.ReadQuery(values, func(name, value string) string {
		switch name {
		case paramState:
			q.State = jobs.State(value)
			if value != "" && !slices.Contains(jobs.States, q.State) {
				return "is waiting, queued, running, succeeded, failed or cancelled"
			}
		case paramFirst:
			return setNumber(&q.First, value)
		case paramLast:
			return setNumber(&q.Last, value)
		case paramSort:
			if q.ByTime = value == "time"; !q.ByTime && value != "number" && value != "" {
				return "is number or time"
			}
		}
		return ""
	})
	if err == nil && q.Last < q.First {
		err = httpio.BadParameter(paramLast, "is at least "+paramFirst)
	}
	return q, err
}

func setNumber(n *int, value string) string {
	given, err := strconv.Atoi(value)
	if err != nil || given < 0 || given > jobs.MaxFrame {
		return fmt.Sprintf("is a number from 0 to %d", jobs.MaxFrame)
	}
	*n = given
	return ""
}

// all reports whether a query selects all frames.
func (q Query) all() bool { return q.State == "" && !q.part() }

// part reports whether a query selects some numbers only.
func (q Query) part() bool { return q.First > 0 || q.Last < jobs.MaxFrame }

// link returns the address of a page with a query.
func (p Place) link(q Query) string {
	values := url.Values{}
	if q.State != "" {
		values.Set(paramState, string(q.State))
	}
	if q.part() {
		values.Set(paramFirst, strconv.Itoa(q.First))
		values.Set(paramLast, strconv.Itoa(q.Last))
	}
	if q.ByTime {
		values.Set(paramSort, "time")
	}
	link := p.Page
	if len(values) > 0 {
		link += "?" + values.Encode()
	}
	return httpio.AddQuery(link, p.Signature) + "#frames"
}

// Home returns the address of the page with its signature.
func (p Place) Home() string { return text.Link(httpio.AddQuery(p.Page, p.Signature)) }

// Place says where the links of a view lead.
type Place struct {
	Page      string // path of the page
	Signature string // query that opens the page and what lies below it, or ""
	// Frame returns the path of the page of a frame, and Files that above its files.
	Frame, Files func(number int, job string) string
	// Tar is the path of all files of the batch, and Bundle that of the job that makes the bundle.
	Tar, Bundle string
}
