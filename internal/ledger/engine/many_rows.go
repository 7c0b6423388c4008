package engine

import "strings"

// tuples returns n times "(?,?,...)" with width parameters each, or "?" for width 0.
func tuples(n, width int) string {
	one := "?,"
	if width > 0 {
		one = "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + "),"
	}
	return strings.TrimSuffix(strings.Repeat(one, n), ",")
}

// sizes are the numbers of rows that have a statement. Few statements thus serve any
// number.
var sizes = [...]int{64, 16, 4, 2, 1}

// ManyRows has one statement for each of sizes.
type ManyRows [len(sizes)]*Query

func NewManyRows(before string, width int, after string) *ManyRows {
	var m ManyRows
	for i, n := range sizes {
		m[i] = NewQuery(before + tuples(n, width) + after)
	}
	return &m
}

// Or sets the texts for PostgreSQL and returns m.
func (m *ManyRows) Or(before string, width int, after string) *ManyRows {
	for i, n := range sizes {
		m[i].PostgreSQL = before + tuples(n, width) + after
	}
	return m
}

// Each calls scan for every row that statements of width 0 return for values. read runs one
// of them.
func (m *ManyRows) Each(values []string, read func(*Query, []any, func(Row) error) error, scan func(Row) error) error {
	return m.Split(len(values), func(q *Query, from, to int) error {
		args := make([]any, 0, to-from)
		for _, v := range values[from:to] {
			args = append(args, v)
		}
		return read(q, args, scan)
	})
}

// Split calls f with pieces of n rows, each of a size that has a statement.
func (m *ManyRows) Split(n int, f func(q *Query, from, to int) error) error {
	for from := 0; from < n; {
		i := 0
		for sizes[i] > n-from {
			i++
		}
		if err := f(m[i], from, from+sizes[i]); err != nil {
			return err
		}
		from += sizes[i]
	}
	return nil
}
