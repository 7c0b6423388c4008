package ledger

import "strings"

// query is one SQL text. Its number is its place among a connection's
// prepared statements.
type query struct {
	text   string
	number int
}

var queries []*query

// newQuery registers a text; it is called while the package is initialised
// only. Parameters are written `?`; this is the place to number them for an
// engine that wants $1.
func newQuery(text string) *query {
	q := &query{text: text, number: len(queries)}
	queries = append(queries, q)
	return q
}

// tuples is n times "(?,?,...)" with width parameters each, or "?" for width 0.
func tuples(n, width int) string {
	one := "?,"
	if width > 0 {
		one = "(" + strings.TrimSuffix(strings.Repeat("?,", width), ",") + "),"
	}
	return strings.TrimSuffix(strings.Repeat(one, n), ",")
}

// sizes are the numbers of rows for which statements over many rows exist, so
// that few statements serve any number.
var sizes = [...]int{64, 16, 4, 2, 1}

// manyRows is one statement for each of sizes.
type manyRows [len(sizes)]*query

func newManyRows(before string, width int, after string) *manyRows {
	var m manyRows
	for i, n := range sizes {
		m[i] = newQuery(before + tuples(n, width) + after)
	}
	return &m
}

// split calls f with pieces of n rows that have a statement.
func (m *manyRows) split(n int, f func(q *query, from, to int) error) error {
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
