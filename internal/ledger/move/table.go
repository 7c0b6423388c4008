package move

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"
)

// table is a table of PostgreSQL.
type table struct {
	name    string
	columns []string
	types   []string
}

func (t *table) list() string { return strings.Join(t.columns, ", ") }

// skipped are tables of one engine, or of no use after a move.
const skipped = "'schema_version', 'schema_additions', 'writers', 'commits', 'backlog_steps', 'backlog_folded', 'upgrade'"

// tablesOf returns the tables of the ledger.
func tablesOf(ctx context.Context, tx pgx.Tx) (list []table, err error) {
	rows, err := tx.Query(ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns
		NATURAL JOIN information_schema.tables
		WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name NOT IN (`+skipped+`) ORDER BY table_name, ordinal_position`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, column, kind string
		if err := rows.Scan(&name, &column, &kind); err != nil {
			return nil, err
		}
		if len(list) == 0 || list[len(list)-1].name != name {
			list = append(list, table{name: name})
		}
		last := &list[len(list)-1]
		last.columns, last.types = append(last.columns, column), append(last.types, kind)
	}
	return list, rows.Err()
}

// convert makes the values of a row of SQLite those that PostgreSQL stores.
func (t *table) convert(row []any) error {
	for i, kind := range t.types {
		value, ok := converted(kind, row[i])
		if !ok {
			return fmt.Errorf("column %s has a value of type %T, and %s is stored there: row %.100v", t.columns[i], row[i], kind, row[0])
		}
		row[i] = value
	}
	return nil
}

func converted(kind string, value any) (any, bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case int64:
		if kind == "double precision" {
			return float64(v), true
		}
		return v, kind == "bigint"
	case float64:
		return v, kind == "double precision"
	case string:
		if kind == "bytea" {
			return []byte(v), true
		}
		return v, kind == "text"
	case []byte:
		if kind == "text" {
			return string(v), true
		}
		return v, kind == "bytea"
	}
	return nil, false
}

// sum is the number of rows and a digest that does not depend on their order.
type sum struct {
	rows   int64
	digest [4]uint64
}

// add adds a row.
func (s *sum) add(row []any) {
	h := sha256.New()
	for _, value := range row {
		var kind byte
		var data []byte
		switch v := value.(type) {
		case int64:
			kind, data = 'i', binary.BigEndian.AppendUint64(nil, uint64(v))
		case float64:
			kind, data = 'f', binary.BigEndian.AppendUint64(nil, math.Float64bits(v))
		case string:
			kind, data = 't', []byte(v)
		case []byte:
			kind, data = 'b', v
		}
		h.Write(binary.BigEndian.AppendUint64([]byte{kind}, uint64(len(data))))
		h.Write(data)
	}
	digest := h.Sum(nil)
	for i := range s.digest {
		s.digest[i] += binary.BigEndian.Uint64(digest[8*i:])
	}
	s.rows++
}
