package jsonvalue

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/runnerbean/runnerbean/internal/text"
)

const (
	maxTables      = 4
	maxTableRows   = 100
	maxTableFields = 16
	maxCellRunes   = 120
)

// Table is a table made from an array of flat objects.
type Table struct {
	Name    string // of the member that holds the array; empty for the whole value
	Columns []Column
	Rows    [][]string
	More    string // says which rows are left out; empty where none are
}

// Column is one member of the objects.
type Column struct {
	Name    string
	Numeric bool
}

// Tables returns the tables in a value: the value itself, or at most maxTables of
// its members.
func Tables(raw []byte) []Table {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > maxTreeSource {
		return nil
	}
	if raw[0] == '[' {
		if g, ok := tableOf(raw); ok {
			return []Table{g}
		}
		return nil
	}
	var list []Table
	for _, m := range Members(raw) {
		if g, ok := tableOf(m.Value); ok && len(list) < maxTables {
			g.Name = strings.ReplaceAll(text.Line(m.Name, text.NameLimit), "_", " ")
			list = append(list, g)
		}
	}
	return list
}

// tableOf returns the table of an array of at least two objects that hold only
// scalars and have at most maxTableFields different names. It reports whether the
// value is such an array.
func tableOf(raw []byte) (Table, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '[' {
		return Table{}, false
	}
	b := tableBuilder{at: map[string]int{}, numeric: map[string]bool{}}
	Each(raw, b.row)
	if b.odd || b.rows < 2 || len(b.names) == 0 || len(b.names) > maxTableFields {
		return Table{}, false
	}
	return b.table(), true
}

// tableBuilder collects rows. It sets odd at the first value that does not fit into
// a table.
type tableBuilder struct {
	odd     bool
	rows    int
	names   []string
	at      map[string]int
	numeric map[string]bool
	cells   []map[string]string
}

func (b *tableBuilder) row(_ string, raw []byte) {
	if b.odd || raw[0] != '{' {
		b.odd = true
		return
	}
	b.rows++
	cells := map[string]string{}
	Each(raw, func(name string, value []byte) {
		if b.odd = b.odd || value[0] == '{' || value[0] == '['; b.odd {
			return
		}
		b.note(name, value)
		cells[name] = cell(value)
	})
	if b.rows <= maxTableRows {
		b.cells = append(b.cells, cells)
	}
}

func (b *tableBuilder) note(name string, value []byte) {
	_, isNumber := Number(value)
	if _, known := b.at[name]; !known {
		if b.odd = len(b.names) >= maxTableFields; b.odd {
			return
		}
		b.at[name], b.numeric[name] = len(b.names), true
		b.names = append(b.names, name)
	}
	b.numeric[name] = b.numeric[name] && (isNumber || string(value) == "null")
}

// cell returns a scalar as text, and "" for null.
func cell(value []byte) string {
	switch {
	case string(value) == "null":
		return ""
	case value[0] == '"':
		return text.Line(String(value), maxCellRunes)
	}
	if v, ok := Number(value); ok {
		return text.Number(v)
	}
	return text.Line(string(value), maxCellRunes)
}

func (b *tableBuilder) table() Table {
	var g Table
	for _, name := range b.names {
		g.Columns = append(g.Columns, Column{Name: strings.ReplaceAll(text.Line(name, text.NameLimit), "_", " "), Numeric: b.numeric[name]})
	}
	for _, cells := range b.cells {
		row := make([]string, len(b.names))
		for name, cell := range cells {
			row[b.at[name]] = cell
		}
		g.Rows = append(g.Rows, slices.Clip(row))
	}
	if b.rows > len(g.Rows) {
		g.More = fmt.Sprintf("The first %d of %s rows.", len(g.Rows), text.Grouped(b.rows))
	}
	return g
}
