package publisher

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

// grid is an array of flat objects as a table.
type grid struct {
	Name    string // of the member that holds it; empty for the whole result
	Columns []gridColumn
	Rows    [][]string
	More    string // what is not shown
}

// gridColumn is a member that the objects have.
type gridColumn struct {
	Name    string
	Numeric bool
}

// grids finds the tables in a result: itself, or its members.
func grids(raw []byte) []grid {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || len(raw) > maxTreeSource {
		return nil
	}
	if raw[0] == '[' {
		if g, ok := gridOf(raw); ok {
			return []grid{g}
		}
		return nil
	}
	var list []grid
	for _, m := range members(raw) {
		if g, ok := gridOf(m.value); ok && len(list) < maxTables {
			g.Name = strings.ReplaceAll(text.Line(m.name, text.NameLimit), "_", " ")
			list = append(list, g)
		}
	}
	return list
}

// gridOf makes a table of an array of at least two objects that hold single
// values only, with much the same names.
func gridOf(raw []byte) (grid, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '[' {
		return grid{}, false
	}
	b := gridBuilder{at: map[string]int{}, numeric: map[string]bool{}}
	eachEntry(raw, b.row)
	if b.odd || b.rows < 2 || len(b.names) == 0 || len(b.names) > maxTableFields {
		return grid{}, false
	}
	return b.grid(), true
}

// gridBuilder reads rows until one does not fit into a table.
type gridBuilder struct {
	odd     bool
	rows    int
	names   []string
	at      map[string]int
	numeric map[string]bool
	cells   []map[string]string
}

func (b *gridBuilder) row(_ string, raw []byte) {
	if b.odd || raw[0] != '{' {
		b.odd = true
		return
	}
	b.rows++
	cells := map[string]string{}
	eachEntry(raw, func(name string, value []byte) {
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

func (b *gridBuilder) note(name string, value []byte) {
	_, isNumber := number(value)
	if _, known := b.at[name]; !known {
		if b.odd = len(b.names) >= maxTableFields; b.odd {
			return
		}
		b.at[name], b.numeric[name] = len(b.names), true
		b.names = append(b.names, name)
	}
	b.numeric[name] = b.numeric[name] && (isNumber || string(value) == "null")
}

// cell writes a single value; nothing where there is none.
func cell(value []byte) string {
	switch {
	case string(value) == "null":
		return ""
	case value[0] == '"':
		return text.Line(unquoted(value), maxCellRunes)
	}
	if v, ok := number(value); ok {
		return text.Number(v)
	}
	return text.Line(string(value), maxCellRunes)
}

func (b *gridBuilder) grid() grid {
	var g grid
	for _, name := range b.names {
		g.Columns = append(g.Columns, gridColumn{Name: strings.ReplaceAll(text.Line(name, text.NameLimit), "_", " "), Numeric: b.numeric[name]})
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
