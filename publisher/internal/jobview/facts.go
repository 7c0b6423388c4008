package jobview

import (
	"time"
	"unicode/utf8"

	"github.com/runnerbean/runnerbean/internal/text"
	"github.com/runnerbean/runnerbean/jobs"
)

// Fact is a value with its name.
type Fact struct {
	Name string
	text.Piece
	Code bool // shown in a fixed-width font
}

// Long reports whether a fact needs more room than others.
func (f Fact) Long() bool {
	return utf8.RuneCountInString(f.Text) > 14 || utf8.RuneCountInString(f.Name) > 24
}

// MadeAt is the name of the fact that says when the page was made.
const MadeAt = "This answer"

// facts returns the times, the attempt, the node and the program of a job.
func facts(r jobs.Result) []Fact {
	var list []Fact
	moment := func(name string, t time.Time) {
		if !t.IsZero() {
			list = append(list, Fact{Name: name, Piece: text.Moment(t)})
		}
	}
	moment("Created", r.Created)
	moment("Started", r.Started)
	moment("Finished", r.Finished)
	if took, ok := Took(r); ok {
		list = append(list, Fact{Name: "Took", Piece: text.Words("%s", text.Duration(took))})
	}
	if r.Attempt > 0 {
		list = append(list, Fact{Name: "Attempt", Piece: text.Words("%d", r.Attempt)})
	}
	if r.Node != "" {
		list = append(list, Fact{Name: "Node", Piece: text.Piece{Text: text.Line(r.Node, text.NameLimit)}})
	}
	if p := r.Provenance; p != nil && p.ProgramSHA256 != "" {
		list = append(list, Fact{Name: "Program SHA-256", Piece: text.Piece{Text: text.Line(p.ProgramSHA256, 64)}, Code: true})
	}
	moment(MadeAt, r.Timestamp)
	return list
}
