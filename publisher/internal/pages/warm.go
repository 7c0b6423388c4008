package pages

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"

	"github.com/runnerbean/runnerbean/api"
	"github.com/runnerbean/runnerbean/internal/text"
)

// warmList are processes of stream programs, on the page of a node or of a program.
type warmList struct {
	ByNode bool // whether the first column names nodes; else it names programs
	Rows   []warmView
	More   int // how many are left out
}

// warmView is a process of a stream program.
type warmView struct {
	Name, Path        string // of the program or the node
	Key               string
	PID               int
	Jobs, Memory, Age string
	Job, JobPath      string // empty while it waits for a job
}

// maxWarm bounds the processes that a page shows.
const maxWarm = 64

// nodeWarm returns the processes on a node, by program and with the oldest first.
func nodeWarm(root string, n api.Node) warmList {
	var list warmList
	for _, p := range warmOf(n) {
		list.add(newWarm(root, "/programs/", p.Program, n, p))
	}
	return list
}

// programWarm returns the processes of a program on all nodes, by node and with the oldest
// first.
func programWarm(root, program string, nodes []api.Node) warmList {
	list := warmList{ByNode: true}
	for _, n := range nodes {
		for _, p := range warmOf(n) {
			if p.Program == program {
				list.add(newWarm(root, "/nodes/", n.Name, n, p))
			}
		}
	}
	return list
}

func (l *warmList) add(v warmView) {
	if len(l.Rows) == maxWarm {
		l.More++
		return
	}
	l.Rows = append(l.Rows, v)
}

// warmOf returns the processes of the stream programs of a node that is alive.
func warmOf(n api.Node) []api.WarmProcess {
	if n.Vitals == nil || !n.Alive {
		return nil
	}
	list := slices.Clone(n.Vitals.Warm)
	slices.SortStableFunc(list, func(a, b api.WarmProcess) int {
		return cmp.Or(cmp.Compare(a.Program, b.Program), a.Started.Compare(b.Started), cmp.Compare(a.PID, b.PID))
	})
	return list
}

// newWarm returns a process on node n with a link to the program or the node of that name.
func newWarm(root, folder, name string, n api.Node, p api.WarmProcess) warmView {
	v := warmView{
		Name: text.Line(name, text.NameLimit), Path: text.Link(root + folder + url.PathEscape(name)),
		Key: n.Instance + " " + strconv.Itoa(p.PID), PID: p.PID, Jobs: text.Grouped(int64(p.Jobs)),
		Age: age(p.Started), Memory: "–",
	}
	if p.Memory > 0 {
		v.Memory = text.Bytes(p.Memory)
	}
	if p.Job != "" {
		v.Job, v.JobPath = text.ShortID(p.Job), text.Link(root+"/jobs/"+url.PathEscape(p.Job))
	}
	return v
}
