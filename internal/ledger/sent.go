package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// maxServers is how many instances of servers may have messages at once; a
// server makes a new one at each start.
const maxServers = 256

var qSent = newQuery("UPDATE jobs SET server = ?, message = ? WHERE id = ? AND state = 'queued'")

// MarkSent records that messages were put. It ignores jobs that are not queued
// any more. It is not synced to the disk: a message that is put twice is harmless.
func (l *Ledger) MarkSent(ctx context.Context, sent []Sent) error {
	err := l.do(ctx, &op{weight: len(sent), soft: true, run: func(t *txn) error {
		for _, s := range sent {
			if _, err := t.exec(qSent, clean(s.Server, maxName), int64(s.Message), s.ID); err != nil {
				return err
			}
		}
		return nil
	}})
	if err != nil {
		return fmt.Errorf("ledger: mark sent: %w", err)
	}
	return nil
}

var qUnsent = newQuery("SELECT " + recordColumns + ` FROM jobs
	WHERE state = 'queued' AND server = ? AND updated < ? LIMIT ?`)

// Unsent lists queued jobs, unchanged since before, of which no message was put
// or whose message went to a server instance that is not among servers. Jobs
// that are not due yet are listed too; their messages want a delay. The records
// have no Document.
func (l *Ledger) Unsent(ctx context.Context, servers []string, before time.Time, limit int) ([]Record, error) {
	list, err := l.unsent(ctx, servers, micros(before), limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: unsent: %w", err)
	}
	return list, nil
}

func (l *Ledger) unsent(ctx context.Context, servers []string, before int64, limit int) (list []Record, err error) {
	queued, err := l.queueServers(ctx)
	if err != nil {
		return nil, err
	}
	for _, server := range queued {
		if len(list) >= limit {
			break
		}
		if server != "" && slices.Contains(servers, server) {
			continue
		}
		err := l.reader.each(ctx, qUnsent, []any{server, before, limit - len(list)}, func(rows *sql.Rows) error {
			r, err := scanRecord(rows)
			list = append(list, r)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// scanRecord reads a row of recordColumns.
func scanRecord(rows *sql.Rows) (Record, error) {
	var row recordRow
	if err := rows.Scan(row.dest()...); err != nil {
		return Record{}, err
	}
	return row.record()
}
