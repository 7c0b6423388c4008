package listing

import (
	"context"

	"github.com/runnerbean/runnerbean/internal/ledger/engine"
)

// maxServers limits the instances of servers that have messages. A server makes a new
// instance at each start.
const maxServers = 256

var qNextServer = engine.NewQuery("SELECT server FROM jobs WHERE state = 'queued' AND server > ? ORDER BY server LIMIT 1")

// Servers returns "" and the servers that have messages of queued jobs. It reads one
// index entry per server, so it costs the same with a million jobs.
func Servers(ctx context.Context, r engine.Reader) ([]string, error) {
	list := []string{""}
	for len(list) < maxServers {
		var next string
		found, err := r.Row(ctx, qNextServer, []any{list[len(list)-1]}, &next)
		if err != nil || !found {
			return list, err
		}
		list = append(list, next)
	}
	return list, nil
}
