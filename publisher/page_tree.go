package publisher

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// maxTreeSource is the size in bytes of a value beyond which no tree of it
	// is shown.
	maxTreeSource = 1 << 20
	// maxBranches, maxTreeDepth and maxTreeKids bound a tree: all of it, how deep
	// it goes, and how many entries one value shows.
	maxBranches  = 2000
	maxTreeDepth = 16
	maxTreeKids  = 100
	maxTreeText  = 400 // runes of a string
	// openBranches is how many entries a tree shows before a person opens any.
	openBranches = 40
)

// branch is one value of a JSON document as a page shows it: Text where it is
// single, Kids where it holds others.
type branch struct {
	Name  string
	Index bool   // Name is a place in an array
	Tone  string // of Text: string, number or word
	Text  string
	Holds string // what a value that holds others is, such as "3 members"
	Open  bool
	Kids  []branch
	More  string // what is not shown of it
}

// treeBuilder counts what it has made.
type treeBuilder struct{ made, shown int }

// tree is the tree of a value; nil where it is single or too large.
func tree(raw []byte) *branch {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > maxTreeSource || raw[0] != '{' && raw[0] != '[' {
		return nil
	}
	var t treeBuilder
	b := t.value(raw, 0)
	return &b
}

func (t *treeBuilder) value(raw []byte, depth int) branch {
	t.made++
	switch {
	case len(raw) == 0:
		return branch{}
	case raw[0] == '{' || raw[0] == '[':
		return t.holder(raw, depth)
	case raw[0] == '"':
		return branch{Tone: "string", Text: "“" + text.Line(unquoted(raw), maxTreeText) + "”"}
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		return branch{Tone: "number", Text: text.Line(string(raw), maxTreeText)}
	}
	return branch{Tone: "word", Text: text.Line(string(raw), maxTreeText)}
}

func (t *treeBuilder) holder(raw []byte, depth int) branch {
	object := raw[0] == '{'
	var b branch
	n := 0
	eachEntry(raw, func(name string, value []byte) {
		n++
		if len(b.Kids) >= maxTreeKids || t.made >= maxBranches || depth >= maxTreeDepth {
			return
		}
		kid := t.value(value, depth+1)
		kid.Name, kid.Index = text.Line(name, text.NameLimit), !object
		if kid.Index {
			kid.Name = fmt.Sprint(n - 1)
		}
		b.Kids = append(b.Kids, kid)
	})
	b.Holds = entries(n, object)
	if more := n - len(b.Kids); more > 0 {
		b.More = "… and " + entries(more, object) + " more"
		if len(b.Kids) == 0 {
			b.More = "not shown here"
		}
	}
	// The kids are built before their holder knows how many there are.
	if b.Open = depth == 0 || t.shown+len(b.Kids) <= openBranches; b.Open {
		t.shown += len(b.Kids)
	}
	return b
}

func entries(n int, object bool) string {
	if object {
		return text.Plural(n, "member")
	}
	return text.Count(n, "entry", "entries")
}

// eachEntry calls f for each member of an object, or each element of an array;
// it ends where the JSON is broken.
func eachEntry(raw []byte, f func(name string, value []byte)) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for d.PeekKind() != ']' && d.PeekKind() != '}' {
		name := ""
		if raw[0] == '{' {
			token, err := d.ReadToken()
			if err != nil {
				return
			}
			name = token.String()
		}
		value, err := d.ReadValue()
		if err != nil {
			return
		}
		f(name, raw[int(d.InputOffset())-len(value):d.InputOffset()])
	}
}
