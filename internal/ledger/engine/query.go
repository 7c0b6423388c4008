package engine

// Query is one SQL text. Number is its index among the prepared statements of a
// connection.
type Query struct {
	Text   string
	Number int
	// PostgreSQL is the text for PostgreSQL, if it is another one.
	PostgreSQL string
}

var Queries []*Query

// Document is the column with the document of a job, in a query on jobs. Documents from
// before schema 6 are in a table of their own.
const Document = `COALESCE((SELECT document FROM documents WHERE documents.id = jobs.id),
	(SELECT document FROM old_documents WHERE old_documents.id = jobs.id))`

// Reusable reads how many bytes of the file are free pages.
// PostgreSQL does not say.
var Reusable = NewQuery("SELECT freelist_count * page_size FROM pragma_freelist_count, pragma_page_size").Or("SELECT 0")

// NewQuery registers a text. Call it during package initialisation only. Parameters are
// written `?`.
func NewQuery(text string) *Query {
	q := &Query{Text: text, Number: len(Queries)}
	Queries = append(Queries, q)
	return q
}

// Or sets the text for PostgreSQL and returns q.
func (q *Query) Or(postgreSQL string) *Query {
	q.PostgreSQL = postgreSQL
	return q
}
