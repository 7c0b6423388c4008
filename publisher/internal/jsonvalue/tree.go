package jsonvalue

import (
	"bytes"
	"fmt"

	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	// maxTreeSource is the size in bytes up to which a value is read.
	maxTreeSource = 1 << 20
	// maxTreeNodes is how many values a tree shows in all, maxTreeDepth how many
	// levels, and maxChildren how many entries of one value.
	maxTreeNodes = 2000
	maxTreeDepth = 16
	maxChildren  = 100
	maxTreeText  = 400 // runes of a string
	// openNodes is how many entries are visible before a reader opens any.
	openNodes = 40
)

// Tree is one value of a JSON document as a page shows it: an object or an array with
// Children, or a scalar with Text.
type Tree struct {
	Name     string
	Index    bool   // Name is an index of an array
	Tone     string // of Text: string, number or word
	Text     string
	Holds    string // how many values it holds, such as "3 members"
	Open     bool
	Children []Tree
	More     string // says what is left out
}

// treeBuilder counts the values that it has made, and those that are visible at
// first.
type treeBuilder struct{ made, visible int }

// TreeOf returns the tree of an object or an array. It returns nil for a scalar, and
// for a value of more than a mebibyte.
func TreeOf(raw []byte) *Tree {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > maxTreeSource || raw[0] != '{' && raw[0] != '[' {
		return nil
	}
	var t treeBuilder
	b := t.value(raw, 0)
	return &b
}

func (t *treeBuilder) value(raw []byte, depth int) Tree {
	t.made++
	switch {
	case len(raw) == 0:
		return Tree{}
	case raw[0] == '{' || raw[0] == '[':
		return t.container(raw, depth)
	case raw[0] == '"':
		return Tree{Tone: "string", Text: "“" + text.Line(String(raw), maxTreeText) + "”"}
	case raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9':
		return Tree{Tone: "number", Text: text.Line(string(raw), maxTreeText)}
	}
	return Tree{Tone: "word", Text: text.Line(string(raw), maxTreeText)}
}

func (t *treeBuilder) container(raw []byte, depth int) Tree {
	object := raw[0] == '{'
	var b Tree
	n := 0
	Each(raw, func(name string, value []byte) {
		n++
		if len(b.Children) >= maxChildren || t.made >= maxTreeNodes || depth >= maxTreeDepth {
			return
		}
		child := t.value(value, depth+1)
		child.Name, child.Index = text.Line(name, text.NameLimit), !object
		if child.Index {
			child.Name = fmt.Sprint(n - 1)
		}
		b.Children = append(b.Children, child)
	})
	b.Holds = entries(n, object)
	if more := n - len(b.Children); more > 0 {
		b.More = "… and " + entries(more, object) + " more"
		if len(b.Children) == 0 {
			b.More = "not shown here"
		}
	}
	// Children decide whether they are open before their parent does: only then is
	// their number known.
	if b.Open = depth == 0 || t.visible+len(b.Children) <= openNodes; b.Open {
		t.visible += len(b.Children)
	}
	return b
}

func entries(n int, object bool) string {
	if object {
		return text.Plural(n, "member")
	}
	return text.Count(n, "entry", "entries")
}
