package pages

import (
	"fmt"
	"net/url"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
	"github.com/runnerbean/runnerbean/publisher/internal/jobview"
)

// rowView is a job in a list.
type rowView struct {
	URL, ID, Short, Program, State, Tone, Node, Took string
	Value, Percent, Note                             string
	Created                                          text.Piece
}

// maxNotices is how many drained nodes are named.
const maxNotices = 20

// notices returns a sentence about each drain.
func notices(d api.Drains) [][]text.Piece {
	var list [][]text.Piece
	if d.Queue != nil {
		list = append(list, append([]text.Piece{text.Words("The queue is drained: no new job is accepted since ")}, drainWords(*d.Queue)...))
	}
	for i, node := range d.Nodes {
		if i == maxNotices {
			return append(list, []text.Piece{text.Words("So are %d more nodes.", len(d.Nodes)-maxNotices)})
		}
		begin := text.Words("Node %s is drained: it takes no new work since ", text.Line(node.Node, text.NameLimit))
		list = append(list, append([]text.Piece{begin}, drainWords(node)...))
	}
	return list
}

// drainWords returns the end of a sentence about a drain: its time and reason.
func drainWords(d api.Drain) []text.Piece {
	if d.Reason == "" {
		return []text.Piece{text.Moment(d.Since), text.Words(".")}
	}
	return []text.Piece{text.Moment(d.Since), text.Words(" (%s).", text.Line(d.Reason, 200))}
}

// with returns a query with one filter changed. It drops the cursor, unless that is
// what changes.
func with(q url.Values, key, value string) string {
	out := url.Values{}
	for k, v := range q {
		if k != "cursor" && k != key && len(v) > 0 && len(k)+len(v[0]) < text.LinkLimit {
			out.Set(k, v[0])
		}
	}
	if value != "" {
		out.Set(key, value)
	}
	return "?" + out.Encode()
}

// row returns the view of a job for lists.
func row(root string, r jobs.Result) rowView {
	v := rowView{
		URL: text.Link(root + "/jobs/" + url.PathEscape(r.ID)), ID: text.Line(r.ID, text.NameLimit), Short: text.Line(r.ID, text.NameLimit),
		Program: text.Line(r.Program, text.NameLimit), State: text.Line(string(r.State), text.NameLimit), Tone: jobview.StateTone(r.State),
		Node: text.Line(r.Node, text.NameLimit),
	}
	v.Short = text.ShortID(r.ID)
	if !r.Created.IsZero() {
		v.Created = text.Moment(r.Created)
	}
	if took, ok := jobview.Took(r); ok && r.State.Final() {
		v.Took = text.Duration(took)
	}
	if p := r.Progress; r.State == jobs.Running && p != nil && *p >= 0 && *p <= 1 {
		v.Value, v.Percent = fmt.Sprintf("%.4f", *p), fmt.Sprintf("%.0f %%", *p*100)
		v.Took = jobview.TimeLeft(r)
	}
	switch {
	case r.Error != nil && r.State.Final() && r.State != jobs.Succeeded:
		v.Note = text.Line(r.Error.Message, 200)
	case !r.State.Final():
		v.Note = text.Line(r.Message, 200)
		if v.Note == "" {
			v.Note = text.Line(r.Reason, 200)
		}
	}
	return v
}
