// Package loops shows the place of a job that repeats in its loop.
package loops

import (
	"strconv"
	"strings"
	"time"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// View is the loop of a job on its page.
type View struct {
	// Every says how often it repeats, or repeated, and Run which run of the loop the job is.
	Every, Run string
	// NextAt is when the newest job starts; empty if it does not wait for that.
	NextAt text.Piece
	// Ended says that the loop was ended for good, and At when; or why it stands still.
	Ended string
	At    text.Piece
	// Links lead to other jobs of the loop.
	Links []Link
}

// Link leads to a job of the loop.
type Link struct{ What, URL, ID string }

// New returns the view of the loop of a job, or nil if it does not repeat. root is the path of the
// dashboard.
func New(l *api.Loop, repeat jobs.Duration, root, id string) *View {
	if l == nil {
		return nil
	}
	v := &View{Every: "Repeats " + text.Duration(time.Duration(repeat)) + " after each success", Run: "run " + text.Grouped(l.Run) + " of " + strconv.Itoa(l.Runs)}
	if l.Run == l.Runs {
		v.Run = "run " + text.Grouped(l.Run)
	}
	if !l.NextAt.IsZero() {
		v.NextAt = text.Moment(l.NextAt)
	}
	switch {
	case !l.Ended.IsZero():
		v.Every = "Repeated" + strings.TrimPrefix(v.Every, "Repeats")
		v.Ended, v.At = "Ended for good", text.Moment(l.Ended)
		if l.EndedBy != "" {
			v.Ended += " by " + text.Line(l.EndedBy, text.NameLimit)
		}
	case l.State == jobs.Failed || l.State == jobs.Cancelled:
		v.Ended = "It has stopped, since the newest run is " + string(l.State) + ": retry that to go on"
	case l.State == jobs.Succeeded:
		v.Ended = "It is over: no run follows"
	}
	for _, to := range []Link{{What: "Previous run", ID: l.Previous}, {What: "Next run", ID: l.Next}, {What: "Newest run", ID: l.Newest}, {What: "Newest success", ID: l.Latest}} {
		if to.ID == "" || to.ID == id || !jobs.ValidID(to.ID) || to.What == "Newest run" && l.Newest == l.Next {
			continue
		}
		to.URL, to.ID = root+"/jobs/"+to.ID, text.ShortID(to.ID)
		v.Links = append(v.Links, to)
	}
	return v
}
