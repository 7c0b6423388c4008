package publisher

import (
	"fmt"
	"net/url"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/jobs"
)

type rowView struct {
	URL, ID, Short, Program, State, Tone, Node, Took string
	Value, Percent, Note                             string
	Created                                          piece
}

// notices say what is drained.
func notices(d api.Drains) [][]piece {
	var list [][]piece
	if d.Queue != nil {
		list = append(list, append([]piece{words("The queue is drained: no new job is accepted since ")}, drainWords(*d.Queue)...))
	}
	for i, node := range d.Nodes {
		if i == maxNamed {
			return append(list, []piece{words("So are %d more nodes.", len(d.Nodes)-maxNamed)})
		}
		begin := words("Node %s is drained: it takes no new work since ", show(node.Node, maxNameRunes))
		list = append(list, append([]piece{begin}, drainWords(node)...))
	}
	return list
}

// drainWords is the end of a sentence about a drain.
func drainWords(d api.Drain) []piece {
	if d.Reason == "" {
		return []piece{stamp(d.Since), words(".")}
	}
	return []piece{stamp(d.Since), words(" (%s).", show(d.Reason, 200))}
}

// with is the query with one filter changed, from the first page unless the
// cursor is what changes.
func with(q url.Values, key, value string) string {
	out := url.Values{}
	for k, v := range q {
		if k != "cursor" && k != key && len(v) > 0 && len(k)+len(v[0]) < maxLink {
			out.Set(k, v[0])
		}
	}
	if value != "" {
		out.Set(key, value)
	}
	return "?" + out.Encode()
}

func row(root string, r jobs.Result) rowView {
	v := rowView{
		URL: link(root + "/" + url.PathEscape(r.ID)), ID: show(r.ID, maxNameRunes), Short: show(r.ID, maxNameRunes),
		Program: show(r.Program, maxNameRunes), State: show(string(r.State), maxNameRunes), Tone: tone(r.State),
		Node: show(r.Node, maxNameRunes),
	}
	v.Short = shortID(r.ID)
	if !r.Created.IsZero() {
		v.Created = stamp(r.Created)
	}
	if took, ok := duration(r); ok && r.State.Final() {
		v.Took = span(took)
	}
	if p := r.Progress; r.State == jobs.Running && p != nil && *p >= 0 && *p <= 1 {
		v.Value, v.Percent = fmt.Sprintf("%.4f", *p), fmt.Sprintf("%.0f %%", *p*100)
		v.Took = left(r)
	}
	switch {
	case r.Error != nil && r.State.Final() && r.State != jobs.Succeeded:
		v.Note = show(r.Error.Message, 200)
	case !r.State.Final():
		v.Note = show(r.Message, 200)
		if v.Note == "" {
			v.Note = show(r.Reason, 200)
		}
	}
	return v
}

// shortID is a job's id as a list shows it.
func shortID(id string) string {
	if len(id) != 36 || !jobs.ValidID(id) {
		return show(id, maxNameRunes)
	}
	return id[:8] + "…" + id[32:]
}
